/** One case of `memory`: prints as JSON how much this process has grown. Linux only, for its peak can be set back there. */
import { readFileSync, writeFileSync } from "node:fs"
import { Backend, type Models, Policy } from "@spikeroute/core"
import { Context, Effect, Layer } from "effect"
import { backendLayer } from "../backends.ts"
import { noise, prepare } from "../workloads.ts"

export interface Growth {
  readonly planned: number
  readonly allocated: number
  /** Bytes: the peak of the resident set over what it was before. */
  readonly growth: number
  readonly loss: number
}

/** Iterations that are run. */
const iterations = 5

const status = (key: string): number =>
  1024 * Number(readFileSync("/proc/self/status", "utf8").match(new RegExp(`${key}:\\s+(\\d+)`))?.[1])

const [backend = "", threads = "", model = "", policyName = "", timeSteps = "", batchSize = ""] = process.argv.slice(2)
const policy = policyName === "bptt" ? Policy.bptt : Policy.sltt

const measure = Effect.gen(function* () {
  const backendService = Context.get(yield* Layer.build(backendLayer(backend, Number(threads))), Backend)
  const batch = noise(Number(batchSize))
  // A small network of the same kind first: what a runtime takes to compile code is not what a network takes.
  const kind = { model: model as Models.ModelName, policy, timeSteps: 4 }
  yield* Effect.scoped(
    Effect.gen(function* () {
      const small = yield* prepare({ ...kind, batchSize: 2 })
      for (let i = 0; i < 30; i++) yield* small.step(noise(2))
    }),
  ).pipe(Effect.provideService(Backend, backendService))
  Bun.gc(true)
  const before = status("VmRSS")
  writeFileSync("/proc/self/clear_refs", "5")
  const workload = {
    model: model as Models.ModelName,
    policy,
    timeSteps: Number(timeSteps),
    batchSize: Number(batchSize),
  }
  const { trainer, step, last } = yield* prepare(workload).pipe(Effect.provideService(Backend, backendService))
  for (let i = 0; i < iterations; i++) yield* step(batch)
  return {
    planned: trainer.program.arenaBytes,
    allocated: trainer.executable.allocatedBytes(),
    growth: status("VmHWM") - before,
    loss: last().loss,
  } satisfies Growth
})

if (import.meta.main) console.log(JSON.stringify(await Effect.runPromise(Effect.scoped(measure))))
