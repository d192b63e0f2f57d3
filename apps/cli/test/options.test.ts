/** The table of options is that of the Schemas, and the command line checks with the library's own. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { RunConfig } from "../src/config.ts"
import { file, records, render, value } from "../src/options-table.ts"

test("docs/options.md is as the Schemas are: bun apps/cli/src/options-table.ts", () => {
  expect(readFileSync(file, "utf8")).toBe(render())
})

test("what library and command line have in common is checked by one Schema", () => {
  const apart = records.flatMap(({ schema: { fields = {} }, settings = {} }) =>
    Object.entries(settings).flatMap(([option, setting]) =>
      value(fields[option]!) === value(RunConfig.fields[setting]) ? [] : [setting],
    ),
  )
  // JSON and flags have no Infinity.
  expect(apart).toEqual(["tau"])
})
