/** Planned memory and work of programs, compared with the values in gate.json. */
import { Backend, type Executable, Policy, Program } from "@spikeroute/core"
import { Effect } from "effect"
import { backendLayer } from "../backends.ts"
import { batchOf, graphOf, prepare, trainingOptionsOf, type Workload, workloads } from "../workloads.ts"

/** Exact values: every change must be intended. */
export interface Plan {
  readonly bytes: number
  readonly forwardMultiplications: number
  readonly backwardMultiplications: number
}

const cases: ReadonlyArray<Workload> = [
  ...workloads,
  { model: "conv", policy: Policy.checkpointedBptt, timeSteps: 32, batchSize: 64 },
  { model: "conv", policy: Policy.ottt, timeSteps: 4, batchSize: 64 },
  { model: "resnet18", policy: Policy.sltt, timeSteps: 6, batchSize: 32, shape: [32, 32, 3] },
  { model: "vgg11", policy: Policy.slttK(2), timeSteps: 10, batchSize: 32, shape: [48, 48, 2], encoding: "frames" },
  { model: "nfresnet34", policy: Policy.sltt, timeSteps: 6, batchSize: 8, shape: [224, 224, 3] },
]

export const nameOf = ({ model, policy, timeSteps, batchSize }: Workload): string =>
  `${model} ${policy.name}, T = ${timeSteps}, batch ${batchSize}`

const programOf = (workload: Workload) =>
  Effect.flatMap(graphOf(workload), (graph) => Program.compile(graph, workload.policy, trainingOptionsOf(workload)))

/** The current plans of all cases. */
export const plans = Effect.gen(function* () {
  const found: Record<string, Plan> = {}
  for (const workload of cases) {
    const { peakBytes, forward, backward } = Program.cost(yield* programOf(workload))
    found[nameOf(workload)] = {
      bytes: peakBytes,
      forwardMultiplications: forward.multiplications,
      backwardMultiplications: backward.multiplications,
    }
  }
  return found
})

/** Differences from the stored plans, one line each. More multiplications always count as a difference, fewer do not. */
export const differences = (kept: Readonly<Record<string, Plan>>, now: Readonly<Record<string, Plan>>) =>
  [...new Set([...Object.keys(kept), ...Object.keys(now)])].flatMap((name): ReadonlyArray<string> => {
    const [before, after] = [kept[name], now[name]]
    if (before === undefined || after === undefined)
      return [`${name}: ${before === undefined ? "it has no stored plan" : "it is no longer a case"}`]
    const count = (value: number) => value.toLocaleString("en")
    return [
      ...(after.bytes === before.bytes
        ? []
        : [`${name}: planned memory was ${count(before.bytes)} bytes, and is ${count(after.bytes)}`]),
      ...(["forwardMultiplications", "backwardMultiplications"] as const).flatMap((key) =>
        after[key] <= before[key]
          ? []
          : [`${name}: ${key.replace("M", " m")} were ${count(before[key])}, and are ${count(after[key])}`],
      ),
    ]
  })

/** Models whose memory under SLTT-like policies depends on T, one line each. */
export const growingWithTime = Effect.gen(function* () {
  const found: Array<string> = []
  for (const workload of cases.filter(({ encoding }) => encoding !== "frames"))
    for (const policy of [Policy.sltt, Policy.slttK(1), Policy.ottt]) {
      if (policy === Policy.ottt && workload.policy !== Policy.ottt) continue
      const bytes: Array<number> = []
      for (const timeSteps of [4, 16, 64]) bytes.push((yield* programOf({ ...workload, policy, timeSteps })).arenaBytes)
      if (new Set(bytes).size > 1)
        found.push(
          `${workload.model} under ${policy.name}: memory depends on T (${bytes.join(", ")} bytes at T = 4, 16, 64)`,
        )
    }
  return found
})

/** A backend that also counts the multiplications of everything that it runs. */
const counting = (backend: Backend["Service"], count: (multiplications: number) => void) =>
  Backend.of({
    ...backend,
    prepare: (program) =>
      Effect.map(
        backend.prepare(program),
        (executable): Executable => ({
          ...executable,
          run: (calls, frames) =>
            Effect.suspend(() => {
              for (const { segment } of calls)
                for (const instruction of program.segments[segment])
                  count(Program.instructionCost(program, instruction).multiplications)
              return executable.run(calls, frames)
            }),
        }),
      ),
  })

/** Policies whose steps execute more multiplications than planned, one line each. */
export const unplanned = Effect.gen(function* () {
  const found: Array<string> = []
  for (const policy of [Policy.bptt, Policy.checkpointedBptt, Policy.sltt, Policy.slttK(1), Policy.ottt]) {
    let executed = 0
    const workload: Workload = { model: "conv", policy, timeSteps: 6, batchSize: 2, width: 1 / 8 }
    const backend = counting(yield* Backend, (multiplications) => {
      executed += multiplications
    })
    const planned = yield* Effect.gen(function* () {
      const { trainer, step } = yield* prepare(workload)
      yield* step(batchOf(workload))
      const { forward, backward, update } = Program.cost(trainer.program)
      return forward.multiplications + backward.multiplications + update.multiplications
    }).pipe(Effect.scoped, Effect.provideService(Backend, backend))
    if (executed > planned)
      found.push(
        `${nameOf(workload)}: ${executed.toLocaleString("en")} multiplications ran, ${planned.toLocaleString("en")} were planned`,
      )
  }
  return found
}).pipe(Effect.provide(backendLayer("wasm", 1)))
