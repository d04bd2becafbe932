import { defineConfig } from 'vitest/config'

const notTests = ['**/node_modules/**', 'native/build/**']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'tests/setup/**/*.test.ts'],
          exclude: notTests,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tests/**/*.test.ts'],
          exclude: [...notTests, 'tests/setup/**'],
          // These start servers and sandboxes: one file at a time, or they would measure one another.
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
