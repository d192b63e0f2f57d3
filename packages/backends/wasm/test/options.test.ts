import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { Backend, type BackendUnavailableError, type OptionError } from "@spikeroute/core"
import { Effect, type Layer } from "effect"
import { fromModule, layer } from "../src/index.ts"
import { InputError, load } from "../src/infer.ts"

const module = new WebAssembly.Module(readFileSync(new URL("../built/spikeroute.wasm", import.meta.url)))

const opened = (backend: Layer.Layer<Backend, BackendUnavailableError | OptionError>) =>
  Effect.runPromise(Effect.result(Effect.provide(Backend, backend)))

test("a number of threads out of range fails when the layer is built", async () => {
  for (const threads of [0, -1, Number.NaN, 1.5, 257, 1e9, Number.POSITIVE_INFINITY])
    expect(await opened(layer({ threads }))).toMatchObject({
      failure: { _tag: "OptionError", option: "threads", value: threads, expected: "a whole number from 1 to 256" },
    })
  expect(await opened(layer({ thread: 2 } as object))).toMatchObject({ failure: { option: "thread" } })
  for (const threads of [1, 2]) expect(await opened(layer({ threads }))).toMatchObject({ success: { name: "wasm" } })
})

test("a memory limit out of range fails too, for training and for inference", async () => {
  for (const maximumBytes of [0, -1, Number.NaN, 2 ** 22 - 1, 2 ** 32 + 1, Number.POSITIVE_INFINITY]) {
    expect(await opened(fromModule(module, { maximumBytes }))).toMatchObject({
      failure: { _tag: "OptionError", option: "maximumBytes", value: maximumBytes },
    })
    expect(() => load(module, new Uint8Array(8), { maximumBytes })).toThrow(InputError)
  }
  expect(await opened(fromModule(module, { maximumBytes: 2 ** 22 }))).toMatchObject({ success: { name: "wasm" } })
})
