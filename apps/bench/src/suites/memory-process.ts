/** One case of `memory` in its own process: prints its memory growth as JSON. Linux only, because the peak must be reset. */
import { readFileSync, writeFileSync } from "node:fs"
import { Backend, Policy } from "@spikeroute/core"
import { Context, Effect, Layer } from "effect"
import { backendLayer } from "../backends.ts"
import { batchOf, prepare, type Workload } from "../workloads.ts"

/** A case, passed as JSON on the command line. */
export interface Case extends Omit<Workload, "policy"> {
  readonly backend: string
  readonly threads: number
  readonly policy: Policy.PolicyName
  /** Trained steps of slttk. */
  readonly k?: number
}

export interface Growth {
  /** Planned bytes of the program and its kernels' workspace; for TensorFlow.js without the latter. */
  readonly planned: number
  /** Growth of the peak resident set, in bytes. */
  readonly growth: number
  readonly loss: number
}

/** Iterations to run: memory reaches its final size after the first. */
const iterations = 5

/**
 * Warm-up with a small network that runs the same kernels, until the runtime has compiled everything: that memory is not the network's. At
 * least this many iterations and seconds.
 */
const compiling = { iterations: 300, seconds: 2 }

const status = (key: string): number =>
  1024 * Number(readFileSync("/proc/self/status", "utf8").match(new RegExp(`${key}:\\s+(\\d+)`))?.[1])

/** Waits until the runtime has returned freed pages to the system: pages still resident at the start would hide growth. */
const stableResidentBytes = Effect.gen(function* () {
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
  // WebAssembly memory never shrinks, so the network reuses what the warm-up left: subtract it.
  const before = (yield* stableResidentBytes) - (backend === "wasm" ? warmed : 0)
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
