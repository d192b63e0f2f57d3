/** Looks for an adapter twice concurrently, then writes to the standard error. */
import { Effect } from "effect"
import * as Gpu from "../src/gpu.ts"

const found = await Effect.runPromise(
  Effect.all([Effect.result(Gpu.findAdapter), Effect.result(Gpu.findAdapter)], { concurrency: 2 }),
)
console.log(found.map(({ _tag }) => _tag).join())
console.error("afterwards")
process.exit(0)
