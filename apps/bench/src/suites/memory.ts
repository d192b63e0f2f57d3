/** `memory`: how much a process grows by training, beside what was planned. Each case has a process of its own. */
import { print, table } from "@spikeroute/cli/terminal"
import { Program } from "@spikeroute/core"
import { Effect } from "effect"
import type { Case, Growth } from "./memory-process.ts"

const conv = (policy: Case["policy"], timeSteps: number) =>
  ({ model: "conv", policy, timeSteps, batchSize: 64 }) as const

const cases = [conv("sltt", 4), conv("sltt", 32), conv("sltt", 64), conv("bptt", 32)]

/** The growth of a process that runs a case. */
export const growthOf = (each: Case): Effect.Effect<Growth> =>
  Effect.promise(async () => {
    const child = Bun.spawn(
      [process.execPath, new URL("./memory-process.ts", import.meta.url).pathname, JSON.stringify(each)],
      { stderr: "inherit" },
    )
    return JSON.parse(await child.stdout.text())
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
