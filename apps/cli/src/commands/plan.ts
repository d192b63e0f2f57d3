/** `plan`: shows memory and operations of a program before it runs. */
import { totalmem } from "node:os"
import { Backend, Policy, Program } from "@spikeroute/core"
import { Effect } from "effect"
import { backendLayer } from "../backends.ts"
import { chosen, policyOf, resolve, type Settings, trainingOptions } from "../config.ts"
import { UsageError } from "../errors.ts"
import { checkFlags } from "../flags.ts"
import { nameOf } from "../modules.ts"
import { networkFor } from "../network.ts"
import { sampleFor } from "../run.ts"
import { linkOf, scalingOf, scalingTable } from "../scaling.ts"
import { bold, print, table } from "../terminal.ts"

export interface PlanFlags {
  readonly compare: boolean
  readonly program: boolean
  /** Path of a config file. */
  readonly config: string | undefined
  readonly json: boolean
  /** A backend whose kernel workspace is included in the plan. */
  readonly backend: string | undefined
  /** Maximum number of processes, their link, and the step time on one process. */
  readonly ranks: number | undefined
  readonly bandwidth: string | undefined
  readonly latency: string | undefined
  readonly step: string | undefined
  readonly settings: Readonly<Record<string, unknown>>
}

const allocatedBy = (backend: string, program: Program.Program) =>
  Effect.gen(function* () {
    return (yield* (yield* Backend).prepare(program)).allocatedBytes()
  }).pipe(Effect.scoped, Effect.provide(backendLayer(backend)))

const planOf = (config: Settings, policy: Policy.Policy, backend: string | undefined) =>
  Effect.gen(function* () {
    const sample = yield* sampleFor(config)
    const { graph } = yield* networkFor(config, sample)
    const program = yield* Program.compile(graph, policy, trainingOptions(config, sample))
    const cost = Program.cost(program)
    const peakBytes = backend === undefined ? cost.peakBytes : yield* allocatedBy(backend, program)
    const workspaceBytes = backend === undefined ? undefined : peakBytes - cost.peakBytes
    return { policy: policy.name, program, ...cost, peakBytes, backend, workspaceBytes }
  })

type Plan = Effect.Success<ReturnType<typeof planOf>>

const forJson = ({ program, ...plan }: Plan, { dataset, model, timeSteps, batchSize }: Settings) => ({
  dataset,
  model,
  timeSteps,
  batchSize,
  trainedSteps: program.trainedSteps,
  ...plan,
})

const counts = [
  ["multiplications", "multiplications"],
  ["additions", "additions"],
  ["spikeOperations", "spike operations"],
] as const

/** Formats the plans as a table with one column each. */
const forPeople = (plans: ReadonlyArray<Plan>, backend: string | undefined): string => {
  const kinds = Program.bufferKinds.filter((kind) => plans.some(({ bytesByKind }) => bytesByKind[kind] > 0))
  return table(
    ["", ...plans.map(({ policy }) => policy)],
    [
      ["peak memory", ...plans.map(({ peakBytes }) => bold(Program.formatBytes(peakBytes)))],
      ...kinds.map((kind) => [`  ${kind}`, ...plans.map(({ bytesByKind }) => Program.formatBytes(bytesByKind[kind]))]),
      ...(backend === undefined
        ? []
        : [
            [`  workspace, ${backend}`, ...plans.map(({ workspaceBytes }) => Program.formatBytes(workspaceBytes ?? 0))],
          ]),
      ...(["forward", "backward", "update"] as const).flatMap((phase) => [
        [`${phase}, a batch`],
        ...counts.map(([key, name]) => [`  ${name}`, ...plans.map((plan) => plan[phase][key].toLocaleString("en"))]),
      ]),
    ],
  )
}

/** Maximum size of WebAssembly memory and of the reference backend's ArrayBuffer, in bytes. */
const addressable = 2 ** 32

/** States which backends can hold the largest plan; empty if all can. */
const whereItFits = (plans: ReadonlyArray<Plan>): ReadonlyArray<string> => {
  const most = Math.max(...plans.map(({ peakBytes }) => peakBytes))
  if (most <= Math.min(addressable, totalmem())) return []
  const machine = Program.formatBytes(totalmem())
  return [
    most > totalmem()
      ? `This machine cannot hold ${Program.formatBytes(most)}: it has ${machine} of memory.`
      : `Backends wasm, tfjs-wasm and reference hold ${Program.formatBytes(addressable)} at most; native holds what the machine does, here ${machine}.`,
  ]
}

export const plan = ({ compare, program: whole, config: file, json, settings, ...given }: PlanFlags) =>
  Effect.gen(function* () {
    const { backend, ranks, ...link } = yield* checkFlags("plan", { config: file, ...given })
    const config = resolve(yield* chosen(file, settings, { dataset: "mnist" }))
    if (compare && settings.policy !== undefined)
      return yield* new UsageError({ reason: "--compare shows bptt, sltt, slttk and rate: omit --policy" })
    const compared = [Policy.bptt, Policy.sltt, Policy.slttK(config.k ?? 1), Policy.rate]
    const policies = compare
      ? compared.map((policy) => (config.recompute ? policy.pipe(Policy.recompute) : policy))
      : [yield* policyOf(config)]
    const plans = yield* Effect.forEach(policies, (policy) => planOf(config, policy, backend))
    if (ranks !== undefined) {
      const scaling = yield* scalingOf(config, policies, ranks, linkOf(link))
      return yield* print(json ? JSON.stringify(scaling, undefined, 2) : scalingTable(scaling))
    }
    if (json) {
      const forms = plans.map((each) => forJson(each, config))
      return yield* print(JSON.stringify(compare ? forms : forms[0], undefined, 2))
    }
    const { model, dataset, timeSteps, batchSize } = config
    yield* print(
      [
        `${nameOf(model)} on ${nameOf(dataset)}, T = ${timeSteps}, batch ${batchSize}`,
        forPeople(plans, backend),
        ...(backend === undefined ? whereItFits(plans) : []),
        "A spike operation is an addition that is made where a spike is: times the firing rate, it is what runs.",
        ...(whole ? plans.map(({ program }) => `\n${Program.format(program)}`) : []),
      ].join("\n"),
    )
  })
