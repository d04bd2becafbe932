/** Charts of matplotlib as the types of `@e2b/code-interpreter` have them. */
import type { Chart, Sandbox } from '@e2b/code-interpreter'
import { expect } from 'vitest'
import { describeInterpreter, test } from './interpreter-world.ts'

/** The chart of what is drawn by this code; there must be a picture of it, too. */
async function chart(sandbox: Sandbox, code: string): Promise<Chart> {
  const { results, error } = await sandbox.runCode(`import matplotlib.pyplot as plt\n${code}\nplt.show()`)
  expect(error).toBeUndefined()
  expect(results.map((result) => result.formats())).toEqual([['png']])
  expect(Buffer.from(results[0]!.png!, 'base64').subarray(1, 4).toString()).toBe('PNG')
  return results[0]!.chart!
}

describeInterpreter('charts', () => {
  test('of lines', async ({ sandbox }) => {
    const code = `
plt.plot([1, 2, 3], [4, 5, 6.5], label="one")
plt.plot([1, 2], [0, float("nan")], label="two")
plt.title("Title"); plt.xlabel("Time (s)"); plt.ylabel("Speed")`
    expect(await chart(sandbox, code)).toMatchObject({
      type: 'line',
      title: 'Title',
      x_label: 'Time (s)',
      x_unit: 's',
      y_label: 'Speed',
      y_unit: null,
      x_scale: 'linear',
      x_ticks: expect.arrayContaining([1, 2, 3]),
      x_tick_labels: expect.arrayContaining(['1.00']),
      elements: [
        {
          label: 'one',
          points: [
            [1, 4],
            [2, 5],
            [3, 6.5],
          ],
        },
        {
          label: 'two',
          points: [
            [1, 0],
            [2, null],
          ],
        },
      ],
    })
  })

  test('of times, of names and on other scales', async ({ sandbox }) => {
    const dated = 'import datetime\nplt.plot([datetime.date(2024, 1, 1), datetime.date(2024, 1, 3)], [1, 2])'
    expect(await chart(sandbox, dated)).toMatchObject({
      x_scale: 'datetime',
      x_ticks: expect.arrayContaining(['2024-01-03T00:00:00+00:00']),
      elements: [
        {
          points: [
            ['2024-01-01', 1],
            ['2024-01-03', 2],
          ],
        },
      ],
    })
    expect(await chart(sandbox, 'plt.plot(["a", "b"], [1, 100]); plt.yscale("log")')).toMatchObject({
      x_scale: 'categorical',
      x_ticks: ['a', 'b'],
      y_scale: 'log',
      elements: [
        {
          points: [
            ['a', 1],
            ['b', 100],
          ],
        },
      ],
    })
  })

  test('of points', async ({ sandbox }) => {
    expect(
      await chart(sandbox, 'plt.scatter([1, 2], [3, 4], label="S"); plt.scatter([5], [6])'),
    ).toMatchObject({
      type: 'scatter',
      elements: [
        {
          label: 'S',
          points: [
            [1, 3],
            [2, 4],
          ],
        },
        { label: '', points: [[5, 6]] },
      ],
    })
  })

  test.for(['bar', 'barh'])('of bars: %s', async (kind, { sandbox }) => {
    const code = `plt.${kind}(["x", "y"], [3, 4], label="one"); plt.${kind}(["x", "y"], [1, 2], label="two"); plt.legend()`
    expect(await chart(sandbox, code)).toMatchObject({
      type: 'bar',
      elements: [
        { label: 'x', value: 3, group: 'one' },
        { label: 'y', value: 4, group: 'one' },
        { label: 'x', value: 1, group: 'two' },
        { label: 'y', value: 2, group: 'two' },
      ],
    })
  })

  test('of slices', async ({ sandbox }) => {
    expect(await chart(sandbox, 'plt.pie([10, 30], labels=["p", "q"], autopct="%d%%")')).toMatchObject({
      type: 'pie',
      elements: [
        { label: 'p', angle: expect.closeTo(90, 3), radius: 1 },
        { label: 'q', angle: expect.closeTo(270, 3), radius: 1 },
      ],
    })
  })

  test.for(['', ', vert=False', ', patch_artist=True', ', vert=False, patch_artist=True'])(
    'of boxes%s',
    async (how, { sandbox }) => {
      const code = `plt.boxplot([[1, 2, 3, 4, 20], [2, 3, 4]], labels=["u", "w"]${how})`
      expect(await chart(sandbox, code)).toMatchObject({
        type: 'box_and_whisker',
        elements: [
          { label: 'u', min: 1, first_quartile: 2, median: 3, third_quartile: 4, max: 4, outliers: [20] },
          { label: 'w', min: 2, first_quartile: 2.5, median: 3, third_quartile: 3.5, max: 4, outliers: [] },
        ],
      })
    },
  )

  test('of several, and of what is none of these', async ({ sandbox }) => {
    const code = `
figure, (left, right) = plt.subplots(1, 2)
figure.suptitle("Both")
left.plot([1, 2]); right.bar(["a"], [3])`
    expect(await chart(sandbox, code)).toMatchObject({
      type: 'superchart',
      title: 'Both',
      elements: [{ type: 'line' }, { type: 'bar' }],
    })
    expect(await chart(sandbox, 'plt.imshow([[0, 1]]); plt.title("Picture")')).toEqual({
      type: 'unknown',
      title: 'Picture',
      elements: [],
    })
  })
})
