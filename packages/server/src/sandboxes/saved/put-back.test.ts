import { describe, expect, test } from 'vitest'
import { stack } from './put-back.ts'

describe('what lies beneath a root that is put back', () => {
  test('is what lay beneath it, when nothing has changed', () => {
    expect(stack({ layers: ['sav_l'], base: 'sav_b' }, ['sav_l'])).toEqual({
      layers: ['sav_l'],
      base: 'sav_b',
    })
    expect(stack({ layers: ['sav_l'], base: null }, ['sav_l'])).toEqual({ layers: ['sav_l'], base: null })
    expect(stack({ layers: [], base: null }, [])).toEqual({ layers: [], base: null })
  })

  test('has its base again, when that has become a layer since', () => {
    expect(stack({ layers: ['sav_b', 'sav_l'], base: null }, ['sav_l'])).toEqual({
      layers: ['sav_l'],
      base: 'sav_b',
    })
  })

  test('has its base as a layer again, when an older root was put back in between', () => {
    expect(stack({ layers: ['sav_l'], base: 'sav_b' }, ['sav_b', 'sav_l'])).toEqual({
      layers: ['sav_b', 'sav_l'],
      base: null,
    })
  })
})
