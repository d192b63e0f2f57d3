/** The table of options matches the Schemas, and the command line uses the library's Schemas. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { load } from "@spikeroute/backend-wasm/infer"
import { loadModule } from "@spikeroute/backend-wasm/module"
import * as S from "@spikeroute/core"
import { Effect } from "effect"
import { RunConfig } from "../src/config.ts"
import { byHand, file, records, render, value } from "../src/options-table.ts"

test("docs/options.md is up to date (update with bun apps/cli/src/options-table.ts)", () => {
  expect(readFileSync(file, "utf8")).toBe(render())
})

test("options shared by the library and the command line are checked by one Schema", () => {
  const apart = records.flatMap(({ schema: { fields = {} }, settings = {} }) =>
    Object.entries(settings).flatMap(([option, setting]) =>
      value(fields[option]!) === value(RunConfig.fields[setting]) ? [] : [setting],
    ),
  )
  // JSON and flags cannot express Infinity.
  expect(apart).toEqual(["tau"])
})

test("the hand-written checks of inference match the table", async () => {
  const graph = S.Graph.makeUnsafe([2], S.linear({ features: 2 }))
  const weights = ["weight", "bias"].map((name, i) => {
    const shape = i === 0 ? [2, 2] : [2]
    return [`linear1.${name}`, { shape, values: new Float32Array(S.Shape.size(shape)) }] as const
  })
  const options = { batchSize: 1, timeSteps: 1 }
  const file = await Effect.runPromise(ProgramFile.save(graph, new Map(weights), options))
  const module = await loadModule()
  const model = load(module, file)
  const calls = {
    predict: (given: never) => model.predict([1, 2], given),
    load: (given: never) => load(module, file, given),
  }
  const values = [
    -1,
    -0,
    0,
    0.5,
    1,
    2 ** 22,
    2 ** 27,
    2 ** 40,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    "1",
    null,
    true,
    {},
  ]
  for (const name of ["predict", "load"] as const)
    for (const value of values)
      for (const option of [...Object.keys((byHand[name] as S.Options.Part).fields ?? {}), "misspelt"]) {
        const given = { [option]: value }
        const isRight = S.Options.faultIn(byHand[name] as never, given) === undefined
        let isTaken = true
        try {
          calls[name](given as never)
        } catch (error) {
          isTaken = (error as { readonly _tag: string })._tag !== "InputError"
        }
        expect([name, option, value, isTaken]).toEqual([name, option, value, isRight])
      }
})
