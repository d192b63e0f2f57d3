/** The network of the playground, and its compiler options. */
import { defaultLoss, Graph, Models, Optimizer, Policy, Program } from "@spikeroute/core"
import { Effect } from "effect"
import { greatestTimeSteps, type Plan, type PolicyName, policyNames, type Settings } from "../protocol.ts"
import type { Task } from "./tasks.ts"

export const batchSize = 32
export const learningRate = 4e-3

const policies: Readonly<Record<PolicyName, (k: number) => Policy.Policy>> = {
  bptt: () => Policy.bptt,
  sltt: () => Policy.sltt,
  slttk: Policy.slttK,
}

export const policyOf = ({ policy, k, timeSteps }: Pick<Settings, "policy" | "k" | "timeSteps">): Policy.Policy =>
  policies[policy](Math.min(k, timeSteps))

/** Two convolutions with 16 and 32 channels, half of the model `conv`, with τ = 2. */
export const graphOf = (task: Task) =>
  Graph.make(task.shape, Models.conv(task.classes.length, { width: 0.5, neuron: { tau: 2 } }))

export const trainingOptions = ({ encoding }: Task, timeSteps: number): Program.TrainingOptions => ({
  batchSize,
  timeSteps,
  encoding,
  loss: defaultLoss,
  optimizer: Optimizer.adam(),
})

const planOf = (task: Task, settings: Pick<Settings, "policy" | "k" | "timeSteps">) =>
  Effect.gen(function* () {
    const program = yield* Program.compile(
      yield* graphOf(task),
      policyOf(settings),
      trainingOptions(task, settings.timeSteps),
    )
    const kept = program.buffers.reduce((sum, { slots, stride }) => sum + (slots - 1) * stride, 0)
    return { bytes: program.arenaBytes, kept: Math.min(kept, program.arenaBytes) }
  })

/** The planned memory of every policy; the programs are compiled but not run. */
export const plansOf = (task: Task, { k, timeSteps }: Settings) =>
  Effect.forEach(policyNames, (policy) =>
    Effect.map(planOf(task, { policy, k, timeSteps }), (plan): Plan => ({ policy, ...plan })),
  )

const curveSteps = [1, ...Array.from({ length: greatestTimeSteps / 8 }, (_, i) => 8 * (i + 1))]

/** Total memory of a policy over the number of time steps. */
export const curveOf = (task: Task, policy: PolicyName, k: number) =>
  Effect.forEach(curveSteps, (timeSteps) =>
    Effect.map(planOf(task, { policy, k, timeSteps }), ({ bytes }) => [timeSteps, bytes] as const),
  )
