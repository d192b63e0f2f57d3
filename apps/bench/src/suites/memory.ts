/** `memory`: how much a process grows by training, beside what was planned. Each case has a process of its own. */
import { print, table } from "@spikeroute/cli/terminal"
import { Program } from "@spikeroute/core"
import { Data, Effect } from "effect"
import type { Case, Growth } from "./memory-process.ts"

const conv = (policy: Case["policy"], timeSteps: number) =>
  ({ model: "conv", policy, timeSteps, batchSize: 64 }) as const

const cases = [conv("sltt", 4), conv("sltt", 32), conv("sltt", 64), conv("bptt", 32)]

export class MeasurementError extends Data.TaggedError("MeasurementError")<{
  readonly model: string
  readonly policy: string
}> {
  override get message(): string {
    return `the memory of ${this.model} under ${this.policy} could not be measured: its process failed (it needs Linux, and the memory)`
  }
}

/** The growth of a process that runs a case. */
export const growthOf = (each: Case): Effect.Effect<Growth, MeasurementError> =>
  Effect.gen(function* () {
    const child = Bun.spawn(
      [process.execPath, new URL("./memory-process.ts", import.meta.url).pathname, JSON.stringify(each)],
      { stderr: "inherit" },
    )
    const out = yield* Effect.promise(() => child.stdout.text())
    return yield* Effect.try({ try: () => JSON.parse(out) as Growth, catch: () => new MeasurementError(each) })
  })

export const memory = (backends: ReadonlyArray<string>, threads: number) =>
  Effect.gen(function* () {
    const rows: Array<ReadonlyArray<string>> = []
    for (const backend of backends)
      for (const workload of cases) {
        const { planned, allocated, growth, loss } = yield* growthOf({ backend, threads, ...workload })
        rows.push([
          `${backend} ${workload.model} ${workload.policy} T = ${workload.timeSteps}`,
          ...[planned, allocated, growth].map(Program.formatBytes),
          (growth / planned).toFixed(2),
          loss.toFixed(3),
        ])
      }
    yield* print(
      [
        `growth of the process while it prepares a program and trains for five iterations, batch 64, ${threads} threads`,
        table(["", "planned", "allocated", "peak growth", "÷ planned", "loss"], rows),
      ].join("\n"),
    )
  })
