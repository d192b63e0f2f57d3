/**
 * `peers`: the same training iterations in other libraries, in the same rounds, with the same batch and weights: initial weights, with which
 * neurons hardly fire, and weights after 100 steps on MNIST. Also compares growth in resident memory.
 */
import { Policy } from "@spikeroute/core"
import { Effect } from "effect"
import { peerOf } from "../backends.ts"
import type { Case, Reading, Suite } from "../method/suite.ts"
import { growthOf as growthOfPyTorch, type Hosts, peerSubjects, startHosts } from "../peers/index.ts"
import { pretrainedOnMnist, trainingSteps } from "../pretrained.ts"
import {
  batchOf,
  compactWorkloads,
  isDeep,
  paperWorkloads,
  policyAndK,
  recurrentWorkloads,
  type State,
  stepSubject,
  trainedParameters,
  updates,
  valuesOf,
  type Workload,
  workloads,
} from "../workloads.ts"
import { growthOf } from "./memory.ts"

/** Small enough for TensorFlow.js in plain JavaScript, which takes minutes for the other workloads. */
const smallest: Workload = { model: "conv", policy: Policy.sltt, timeSteps: 4, batchSize: 4 }

/** Workloads whose memory is measured, including SLTT with as many time steps as BPTT. */
export const measured: ReadonlyArray<Workload> = [
  ...workloads.slice(0, 2),
  { model: "conv", policy: Policy.sltt, timeSteps: 32, batchSize: 64 },
  ...workloads.slice(2),
  ...recurrentWorkloads,
  ...recurrentWorkloads.slice(0, 1).map((workload) => ({ ...workload, timeSteps: 2 * workload.timeSteps })),
]

/** PyTorch variants whose memory is measured: the plain one and the most economical one, in the smaller layout. */
const pyTorchWays = (workload: Workload) => {
  const channelsLast = workload.model !== "mlp" && workload.model !== "rsnn"
  const plain = { subject: "PyTorch, plain", options: { neuron: "plain", hoist: false, channelsLast } }
  if (workload.policy.name === "bptt") return [plain]
  const hoist = !isDeep(workload) && workload.encoding !== "frames"
  const subject = hoist ? "PyTorch, fused, hoist" : "PyTorch, fused"
  return [plain, { subject, options: { neuron: "fused", hoist, channelsLast } }]
}

/** Memory readings of all subjects of a workload, each in its own process. */
export const memoryOf = (workload: Workload, hosts: Hosts, own: ReadonlyArray<string>): ReadonlyArray<Reading> => {
  const { threads } = hosts
  const about = {
    group: "growth in resident memory",
    values: { ...valuesOf(workload), threads },
  }
  return [
    ...own.map(
      (backend): Reading => ({
        ...{ ...about, subject: backend, ...peerOf(backend) },
        read: Effect.map(
          growthOf({ ...workload, ...policyAndK(workload.policy), backend, threads }),
          ({ planned, growth, loss }) => ({ "planned bytes": planned, "resident bytes": growth, loss }),
        ),
      }),
    ),
    ...(hosts.torch === undefined ? [] : pyTorchWays(workload)).map(
      ({ subject, options }): Reading => ({
        ...{ ...about, subject, peer: "PyTorch" },
        read: Effect.map(
          growthOfPyTorch(workload, hosts, { batch: batchOf(workload), parameters: undefined }, options),
          ({ bytes, loss }) => ({ "resident bytes": bytes, loss }),
        ),
      }),
    ),
  ]
}

const modelsOf = (all: ReadonlyArray<Workload>): ReadonlyArray<string> => [...new Set(all.map(({ model }) => model))]

/** The default networks; and compact ones, a recurrent network and those of the SLTT paper, with initial weights only. */
const untrained = [...compactWorkloads, ...recurrentWorkloads, ...paperWorkloads]
export const peerModels = { usual: modelsOf(workloads), others: modelsOf(untrained) }

export const peersOf = (models: ReadonlyArray<string> = peerModels.usual): Suite => ({
  name: "peers",
  about: "the same iterations in PyTorch, snnTorch, SpikingJelly, TensorFlow.js and jax-js, where they are installed",
  seconds: 420,
  backends: ["native", "wasm", "tfjs-wasm"],
  cases: ({ threads: counts, python, mnist, quick }, backends) =>
    Effect.gen(function* () {
      const threads = Math.max(...counts)
      const hosts = yield* startHosts(python, threads)
      const side = (workload: Workload, weights: string, state: State, names = backends) =>
        Effect.map(peerSubjects(workload, hosts, state), (others): Case => {
          return {
            group: `${workload.model}, ${workload.policy.name}, batch ${workload.batchSize}: ${weights}`,
            values: { ...valuesOf(workload), threads, weights },
            subjects: [...names.map((name) => stepSubject(workload, name, threads, state)), ...others],
          }
        })
      const random = (workload: Workload) =>
        side(workload, "random weights", { batch: batchOf(workload), parameters: undefined })
      const pretrained = (workload: Workload, names = backends) =>
        Effect.gen(function* () {
          if (mnist !== undefined) {
            const state = yield* pretrainedOnMnist(workload, mnist, backends[0] ?? "native", threads)
            return yield* side(workload, `after ${trainingSteps} steps on MNIST`, state, names)
          }
          const state = { batch: batchOf(workload), parameters: yield* trainedParameters(workload) }
          return yield* side(workload, `after ${updates} steps on noise`, state, names)
        })
      const own = backends.filter((name) => peerOf(name).peer === undefined)
      const isChosen = ({ model }: Workload) => models.includes(model)
      const first = <A>(all: ReadonlyArray<A>) => (quick ? all.slice(0, 1) : all)
      const javaScript = backends.includes("tfjs-cpu") ? backends : [...backends, "tfjs-cpu"]
      const [usual, rest] = [first(workloads.filter(isChosen)), first(untrained.filter(isChosen))]
      return [
        ...(isChosen(smallest) ? [yield* pretrained(smallest, javaScript)] : []),
        ...(yield* Effect.forEach(usual, (workload) => Effect.all([random(workload), pretrained(workload)]))).flat(),
        ...(yield* Effect.forEach(rest, random)),
        ...(quick
          ? []
          : [...measured.filter(isChosen), ...paperWorkloads.filter(isChosen)].flatMap((each) =>
              memoryOf(each, hosts, own),
            )),
      ]
    }),
})

export const peers = peersOf()
