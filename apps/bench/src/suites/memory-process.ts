/** One case of `memory`: prints as JSON how much this process has grown. Linux only, for its peak can be set back there. */
import { readFileSync, writeFileSync } from "node:fs"
import { Backend, Policy } from "@spikeroute/core"
import { Context, Effect, Layer } from "effect"
import { backendLayer } from "../backends.ts"
import { batchOf, prepare, type Workload } from "../workloads.ts"

/** A case, as the process is told it. */
export interface Case extends Omit<Workload, "policy"> {
  readonly backend: string
  readonly threads: number
  readonly policy: Policy.PolicyName
  /** slttk: the trained steps. */
  readonly k?: number
}

export interface Growth {
  /** Bytes of the program and of its kernels' workspace, known before it runs: TensorFlow.js says none of the latter. */
  readonly planned: number
  /** Bytes: the peak of the resident set over what it was before. */
  readonly growth: number
  readonly loss: number
}

/** Iterations that are run: the first makes what later ones keep. */
const iterations = 5

/**
 * A small network before, wide enough to run the same kernels, until the runtime has compiled them to the last: what that takes is not
 * what a network takes. So many iterations at least, and as many as so many seconds hold.
 */
const compiling = { iterations: 300, seconds: 2 }

const status = (key: string): number =>
  1024 * Number(readFileSync("/proc/self/status", "utf8").match(new RegExp(`${key}:\\s+(\\d+)`))?.[1])

/** The runtime gives freed pages back in its own time: those still there at the start would be growth that is not seen. */
const settled = Effect.gen(function* () {
  for (let [last, looks] = [Number.POSITIVE_INFINITY, 0]; looks < 20; looks++) {
    const now = status("VmRSS")
    if (now > last - 100_000) return now
    last = now
    yield* Effect.sleep("500 millis")
  }
  return status("VmRSS")
})

const measure = Effect.gen(function* () {
  const { backend, threads, policy: name, k = 1, ...rest } = JSON.parse(process.argv[2] ?? "") as Case
  const named = Policy.policies[name]
  const workload: Workload = { ...rest, policy: typeof named === "function" ? named(k) : named }
  const backendService = Context.get(yield* Layer.build(backendLayer(backend, threads)), Backend)
  const batch = batchOf(workload)
  const kind = {
    ...workload,
    timeSteps: Math.min(4, workload.timeSteps),
    batchSize: 4,
    width: (workload.width ?? 1) / 4,
  }
  const warmed = yield* Effect.scoped(
    Effect.gen(function* () {
      const small = yield* prepare(kind)
      const [began, sample] = [performance.now(), batchOf(kind)]
      for (let i = 0; i < compiling.iterations || performance.now() - began < 1000 * compiling.seconds; i++)
        yield* small.step(sample)
      return small.trainer.executable.allocatedBytes()
    }),
  ).pipe(Effect.provideService(Backend, backendService))
  Bun.gc(true)
  // A module's memory never shrinks: what the small network had of it is taken again, and was not there before.
  const before = (yield* settled) - (backend === "wasm" ? warmed : 0)
  writeFileSync("/proc/self/clear_refs", "5")
  const { trainer, step, last } = yield* prepare(workload).pipe(Effect.provideService(Backend, backendService))
  const planned = Math.max(trainer.program.arenaBytes, trainer.executable.allocatedBytes())
  for (let i = 0; i < iterations; i++) yield* step(batch)
  return {
    planned,
    growth: status("VmHWM") - before,
    loss: last().loss,
  } satisfies Growth
})

if (import.meta.main) console.log(JSON.stringify(await Effect.runPromise(Effect.scoped(measure))))
