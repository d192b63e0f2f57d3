/** The ways to run the WebAssembly backend that tests hold against each other, each loaded once for a file of tests. */
import { afterAll } from "bun:test"
import { ManagedRuntime } from "effect"
import { layer } from "../src/index.ts"

export const configurations = () =>
  [1, 3].map((threads) => {
    const runtime = ManagedRuntime.make(layer({ threads }))
    afterAll(() => runtime.dispose())
    return { name: `wasm on ${threads} thread${threads === 1 ? "" : "s"}`, run: runtime.runPromise }
  })
