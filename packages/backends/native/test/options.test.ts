import { expect, test } from "bun:test"
import { Backend, OptionError } from "@spikeroute/core"
import { Effect } from "effect"
import { layer } from "../src/index.ts"
import { unavailable } from "./configurations.ts"

const opened = (options: object) => Effect.runPromise(Effect.result(Effect.provide(Backend, layer(options))))

test("an option out of range fails when the layer is built, and is named", async () => {
  for (const threads of [0, -1, Number.NaN, 1.5, 257, 1e9, Number.POSITIVE_INFINITY, "2"])
    expect(await opened({ threads })).toMatchObject({
      failure: { _tag: "OptionError", option: "threads", value: threads, expected: "a whole number from 1 to 256" },
    })
  for (const vectorBytes of [0, 7, 128, Number.NaN, "16"])
    expect(await opened({ vectorBytes })).toMatchObject({ failure: { _tag: "OptionError", option: "vectorBytes" } })
  expect(await opened({ onBuild: "loud" })).toMatchObject({ failure: { _tag: "OptionError", option: "onBuild" } })
  const misspelt = await opened({ thread: 2 })
  expect(misspelt).toMatchObject({ failure: { option: "thread", expected: undefined, similar: "threads" } })
  expect(misspelt._tag === "Failure" && misspelt.failure).toBeInstanceOf(OptionError)
})

if (unavailable === undefined)
  test("omitted options and options in range are accepted", async () => {
    for (const options of [{}, { threads: undefined }, { threads: 1 }, { threads: 256, vectorBytes: 16 }])
      expect(await opened(options)).toMatchObject({ success: { name: "native" } })
  })
