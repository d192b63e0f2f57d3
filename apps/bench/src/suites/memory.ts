/** `memory`: planned memory, and growth in resident memory when training. Each case runs in its own process. */
import { Data, Effect } from "effect"
import { peerOf } from "../backends.ts"
import type { Reading, Suite } from "../method/suite.ts"
import type { Case, Growth } from "./memory-process.ts"

const conv = (policy: Case["policy"], timeSteps: number) =>
  ({ model: "conv", policy, timeSteps, batchSize: 64 }) as const

const cases = [
  conv("sltt", 4),
  conv("sltt", 32),
  conv("sltt", 64),
  conv("bptt", 4),
  conv("bptt", 32),
  conv("bptt-checkpoint", 32),
]

export class MeasurementError extends Data.TaggedError("MeasurementError")<{
  readonly model: string
  readonly policy: string
}> {
  override get message(): string {
    return `the memory of ${this.model} under ${this.policy} could not be measured: its process failed (Linux is required, and enough memory)`
  }
}

const growthOfProcess = (each: Case): Effect.Effect<Growth, MeasurementError> =>
  Effect.gen(function* () {
    const child = Bun.spawn(
      [process.execPath, new URL("./memory-process.ts", import.meta.url).pathname, JSON.stringify(each)],
      { stderr: "inherit" },
    )
    const out = yield* Effect.promise(() => child.stdout.text()).pipe(
      Effect.onInterrupt(() => Effect.sync(() => child.kill())),
    )
    return yield* Effect.try({ try: () => JSON.parse(out) as Growth, catch: () => new MeasurementError(each) })
  })

/** The memory growth of a case: the median of several processes, because a runtime's heap varies by about a megabyte. */
export const growthOf = (each: Case, processes = 3): Effect.Effect<Growth, MeasurementError> =>
  Effect.map(
    Effect.replicateEffect(growthOfProcess(each), processes),
    (all) => all.sort((a, b) => a.growth - b.growth)[processes >> 1] as Growth,
  )

export const memory: Suite = {
  name: "memory",
  about: "planned and resident memory, against T",
  seconds: 150,
  backends: ["native", "wasm"],
  cases: ({ threads: counts, quick }, backends) =>
    Effect.sync(() => {
      const threads = Math.max(...counts)
      return backends.flatMap((backend) =>
        (quick ? [conv("sltt", 4), conv("sltt", 16), conv("bptt", 16)] : cases).map(
          (workload): Reading => ({
            group: `conv, batch 64, ${threads} threads`,
            subject: backend,
            ...peerOf(backend),
            values: { ...workload },
            read: Effect.map(
              growthOf({ backend, threads, ...workload }),
              ({ planned, growth, loss }): Readonly<Record<string, number>> => ({
                "planned bytes": planned,
                "resident bytes": growth,
                "resident ÷ planned": growth / planned,
                loss,
              }),
            ),
          }),
        ),
      )
    }),
}
