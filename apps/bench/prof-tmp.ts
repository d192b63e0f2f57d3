import { Backend, Policy } from "@spikeroute/core"
import { Effect, Layer, Context } from "effect"
import { backendLayer } from "./src/backends.ts"
import { noise, prepare, workloads } from "./src/workloads.ts"
const [,, index, backend = "native", threads = "1", iters = "30"] = process.argv
const w = { ...workloads[Number(index)]!, ...(process.env.BATCH ? { batchSize: Number(process.env.BATCH) } : {}) }
await Effect.runPromise(Effect.gen(function* () {
  const context = yield* Layer.build(backendLayer(backend, Number(threads)))
  const run = yield* prepare(w, process.env.MB ? Number(process.env.MB) : undefined).pipe(Effect.provideService(Backend, Context.get(context, Backend)))
  const b = noise(w.batchSize)
  for (let i = 0; i < 3; i++) yield* run.step(b)
  const ts: number[] = []
  for (let i = 0; i < Number(iters); i++) { const t = performance.now(); yield* run.step(b); ts.push(performance.now() - t) }
  ts.sort((a, b) => a - b)
  console.log(w.model, w.policy.name, "min", ts[0]!.toFixed(2), "median", ts[ts.length >> 1]!.toFixed(2), run.last().loss, run.last().firingRates)
}).pipe(Effect.scoped))
