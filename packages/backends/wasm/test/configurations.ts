/** The configurations of the WebAssembly backend under test, each loaded once per test file. */
import { afterAll } from "bun:test"
import { ManagedRuntime } from "effect"
import { layer } from "../src/index.ts"

export const configurations = () =>
  [1, 3].map((threads) => {
    const runtime = ManagedRuntime.make(layer({ threads }))
    afterAll(() => runtime.dispose())
    return { name: `wasm on ${threads} thread${threads === 1 ? "" : "s"}`, run: runtime.runPromise }
  })
