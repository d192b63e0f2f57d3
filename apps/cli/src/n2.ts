import * as Gpu from "@spikeroute/backend-webgpu/gpu"
import { Effect } from "effect"

console.log(
  await Effect.runPromise(
    Gpu.findAdapter.pipe(
      Effect.map(() => "found"),
      Effect.catch((e) => Effect.succeed(e.message)),
    ),
  ),
)
process.exit(0)
