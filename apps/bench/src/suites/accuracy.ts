/** `accuracy`: accuracy and speed of policies on the same data, settings and seeds. Each run is a `bun run train`. */
import { percent, print, say, table } from "@spikeroute/cli/terminal"
import { runTraining } from "@spikeroute/cli/train"
import { Program } from "@spikeroute/core"
import { Effect } from "effect"

/** The policies to compare. */
export const accuracyPolicies: ReadonlyArray<string> = ["bptt", "sltt", "slttk", "rate", "ottt"]

export interface AccuracyOptions {
  readonly policies: ReadonlyArray<string>
  /** Trained steps of SLTT-K. */
  readonly k: number
  readonly seeds: number
  /** Folder of the runs. */
  readonly out: string | undefined
  readonly settings: Readonly<Record<string, unknown>>
}

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

/** The sample standard deviation. */
const deviation = (values: ReadonlyArray<number>) => {
  const middle = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1))
}

export const accuracy = ({ policies: chosen, k, seeds, out, settings }: AccuracyOptions) =>
  Effect.gen(function* () {
    const folder = out ?? `runs/accuracy-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`
    const policies = chosen.map((policy) =>
      policy === "slttk" ? { name: `slttk(${k})`, policy: { policy, k } } : { name: policy, policy: { policy } },
    )
    const trainWith = (name: string, policy: object, seed: number) =>
      Effect.gen(function* () {
        yield* say("")
        yield* say(`${name}, seed ${seed}`)
        return yield* runTraining({
          config: undefined,
          resume: undefined,
          out: `${folder}/${name}-seed${seed}`,
          settings: { ...settings, ...policy, seed },
        })
      })
    // Seed by seed, so that other load affects all policies alike.
    const runs: Array<ReadonlyArray<Effect.Success<ReturnType<typeof trainWith>>>> = []
    for (let seed = 0; seed < seeds; seed++)
      runs.push(yield* Effect.forEach(policies, ({ name, policy }) => trainWith(name, policy, seed)))

    const { dataset, model, timeSteps, batchSize, epochs } = runs[0]![0]!
    yield* print(
      [
        `\ntest accuracy of ${model} on ${dataset}, T = ${timeSteps}, batch ${batchSize}, ${epochs} ${epochs === 1 ? "epoch" : "epochs"}, seeds 0 – ${seeds - 1}`,
        table(
          [
            "",
            "mean",
            "deviation",
            "least – most",
            "s/epoch",
            "s/run",
            "memory",
            ...runs.map((_, seed) => `seed ${seed}`),
          ],
          policies.map(({ name }, i) => {
            const own = runs.map((bySeed) => bySeed[i]!)
            const shares = own.map(({ testAccuracy }) => testAccuracy ?? Number.NaN)
            return [
              ...[name, percent(mean(shares)), seeds > 1 ? percent(deviation(shares)) : "–"],
              `${percent(Math.min(...shares))} – ${percent(Math.max(...shares))}`,
              // Training only, without the tests of the run.
              mean(
                own.map((run) => (run.updates * batchSize) / run.epochs / (run.samplesPerSecond ?? Number.NaN)),
              ).toFixed(1),
              mean(own.map(({ seconds }) => seconds)).toFixed(1),
              Program.formatBytes(own[0]!.plannedBytes),
              ...shares.map(percent),
            ]
          }),
        ),
        folder,
      ].join("\n"),
    )
  })
