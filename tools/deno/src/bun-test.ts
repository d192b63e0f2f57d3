/**
 * The parts of `bun:test` that the tests use, implemented with Deno's test runner and assertions. deno.json maps `bun:test` to this module, so
 * that `deno task test` runs the packages' tests.
 */
import { after, afterEach, before, describe as nodeDescribe, test as nodeTest } from "node:test"
import { expect } from "expect"

export { spyOn } from "jest-mock"

type Body = () => unknown
type Rows = ReadonlyArray<unknown>

const skip = (_name: string, _body: unknown) => {}

/** Fills in `%s`, `%i`, … in a test name with the values of a row. */
const named = (name: string, row: Rows): string => {
  let next = 0
  return name.replaceAll(/%[a-z]/g, () => String(row[next++]))
}

const each =
  (run: (name: string, body: Body) => unknown) =>
  (rows: Rows) =>
  (name: string, body: (...values: Rows) => unknown): void => {
    for (const row of rows) {
      const values = Array.isArray(row) ? row : [row]
      run(named(name, values), () => body(...values))
    }
  }

const run = (name: string, body: Body): void => void nodeTest(name, async () => void (await body()))
const group = (name: string, body: Body): void => void nodeDescribe(name, () => void body())

export const test = Object.assign(run, { each: each(run), skipIf: (unwanted: boolean) => (unwanted ? skip : run) })
export const describe = Object.assign(group, {
  each: each(group),
  skipIf: (unwanted: boolean) => (unwanted ? skip : group),
})
export { after as afterAll, afterEach, before as beforeAll, expect }

expect.extend({
  toStartWith: (received: unknown, start: string) => ({
    pass: String(received).startsWith(start),
    message: () => `${received} does not start with ${start}`,
  }),
  toEndWith: (received: unknown, end: string) => ({
    pass: String(received).endsWith(end),
    message: () => `${received} does not end with ${end}`,
  }),
  toBeWithin: (received: unknown, least: number, above: number) => ({
    pass: typeof received === "number" && received >= least && received < above,
    message: () => `${received} is not at least ${least} and below ${above}`,
  }),
})
