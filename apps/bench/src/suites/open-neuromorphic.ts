/**
 * `onm`: the Open Neuromorphic benchmark of SNN libraries (open-neuromorphic.org, 2023): n inputs, one linear layer and n LIF neurons, with
 * batch 16 and 500 time steps, forward and backward. That benchmark goes up to n = 16,384 on a GPU; here n is limited by the time budget. The
 * loss is a cross-entropy of the spike counts, so that every neuron has a gradient; there is no update.
 */

import * as S from "@spikeroute/core"
import { Backend, Graph, Key, lif, linear, Optimizer, Policy, Train } from "@spikeroute/core"
import { Effect } from "effect"
import { backendLayer, peerOf } from "../backends.ts"
import type { Subject } from "../method/measure.ts"
import type { Case, Suite } from "../method/suite.ts"
import { deviation, openBackend } from "../workloads.ts"

interface Shape {
  readonly neurons: number
  readonly timeSteps: number
  readonly batchSize: number
}

/** Share of the inputs that are events. */
const density = 0.1

const prepare = ({ neurons, timeSteps, batchSize }: Shape, policy: Policy.Policy) =>
  Effect.gen(function* () {
    const network = Graph.sequential(linear({ features: neurons }), lif({ tau: 2, threshold: 0.1 }))
    const graph = yield* Graph.make([neurons], network)
    const trainer = yield* Train.make(graph, policy, {
      ...{ batchSize, timeSteps, encoding: "frames", loss: { mix: 0, target: "ones" } },
      ...{ optimizer: Optimizer.sgd({ momentum: 0 }), key: Key.make(0) },
    })
    const uniform = Key.uniform(Key.fold(Key.make(0), "events"), new Float32Array(timeSteps * batchSize * neurons))
    const labels = Float32Array.from({ length: batchSize }, (_, n) => n % neurons)
    const batch = { inputs: uniform.map((u) => (u < density ? 1 : 0)), labels }
    return { trainer, batch }
  })

const subject = (shape: Shape, policy: Policy.Policy, backend: string, threads: number): Subject => ({
  name: backend,
  ...peerOf(backend),
  values: { policy: policy.name, threads },
  open: Effect.gen(function* () {
    const service = yield* openBackend(backend, threads)
    const { trainer, batch } = yield* prepare(shape, policy).pipe(Effect.provideService(Backend, service))
    const calls = S.Program.schedule(
      trainer.program,
      Array.from({ length: shape.timeSteps }, (_, t) => t),
    ).filter(({ segment }) => segment !== "update")
    yield* trainer.executable.write(S.Program.bufferNames.labels, batch.labels)
    let metrics: ReadonlyArray<number> = []
    return {
      run: Effect.gen(function* () {
        yield* trainer.executable.run(calls, batch.inputs)
        metrics = [...(yield* trainer.executable.read(S.Program.bufferNames.metrics))]
        return undefined
      }),
      check: Effect.gen(function* () {
        const less = { neurons: 128, timeSteps: 20, batchSize: 2 }
        const gradients = Effect.gen(function* () {
          const { trainer, batch } = yield* prepare(less, policy)
          return yield* trainer.differentiate(batch, { update: 1 })
        }).pipe(Effect.scoped)
        const right = yield* gradients.pipe(Effect.provide(backendLayer("reference", 1)))
        const found = yield* gradients.pipe(Effect.provideService(Backend, service))
        const errors = [...right.gradients].map(([name, values]) => deviation(values, found.gradients.get(name) ?? []))
        return {
          against: `reference, ${less.neurons} neurons, T = ${less.timeSteps}, batch ${less.batchSize}`,
          error: Math.max(deviation([right.loss], [found.loss]), deviation(right.outputs, found.outputs), ...errors),
        }
      }),
      observe: () => ({
        ...(metrics[0] === undefined ? {} : { loss: metrics[0] }),
        firingRates: metrics.slice(1),
        figures: { "planned bytes": trainer.program.arenaBytes },
      }),
    }
  }),
})

export const openNeuromorphic: Suite = {
  name: "onm",
  about: "the Open Neuromorphic benchmark: one linear layer and LIF, T = 500, batch 16",
  seconds: 120,
  backends: ["native", "wasm"],
  cases: ({ threads: counts, quick }, backends) =>
    Effect.sync(() => {
      const threads = Math.max(...counts)
      // Time grows with n²: on two cores the largest sizes would take many minutes.
      const sizes = quick ? [256] : [256, 512, 1024, 2048, ...(threads >= 8 ? [4096, 8192, 16384] : [])]
      return sizes.map((neurons): Case => {
        const shape = { neurons, timeSteps: 500, batchSize: 16 }
        return {
          group: `${neurons} neurons`,
          values: { ...shape, density },
          subjects: backends.flatMap((backend) =>
            [Policy.bptt, Policy.sltt].map((policy) => subject(shape, policy, backend, threads)),
          ),
        }
      })
    }),
}
