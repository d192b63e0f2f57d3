/**
 * One training iteration, timed: models × policies on one backend.
 *
 * All cases are prepared first; then rounds go through all of them in turn, so that whatever else the machine does falls on all
 * alike. Firing rates and losses stand beside the times, because spikes are what the time depends on.
 */
import { Backend, defaultLoss, Graph, Key, Models, Optimizer, Policy, Train } from "@spikeroute/core"
import { Effect } from "effect"

export interface StepOptions {
  readonly timeSteps: number
  readonly batchSize: number
  readonly rounds: number
}

export interface StepResult {
  readonly model: string
  readonly policy: string
  readonly backend: string
  /** Seconds of one iteration: the median of the rounds, the least and the most. */
  readonly median: number
  readonly least: number
  readonly most: number
  readonly plannedBytes: number
  readonly allocatedBytes: number
  /** Of the last round. */
  readonly loss: number
  readonly firingRates: ReadonlyArray<number>
}

interface Case {
  readonly model: string
  readonly policy: string
  readonly trainer: Train.Trainer
  readonly seconds: Array<number>
  last?: Train.BatchResult
}

const shape = [28, 28, 1]
const classes = 10

/** A batch of random images and labels: pixels up to 3, so that both layers of the models fire from the start. */
const randomBatch = (batchSize: number): Train.Batch => ({
  inputs: Key.uniform(Key.fold(Key.make(0), "inputs"), new Float32Array(batchSize * 784)).map((u) => 3 * u),
  labels: Key.uniform(Key.fold(Key.make(0), "labels"), new Float32Array(batchSize)).map((u) => Math.floor(u * classes)),
})

/** Times an iteration of every model under BPTT, SLTT and SLTT-1. */
export const step = ({ timeSteps, batchSize, rounds }: StepOptions) =>
  Effect.gen(function* () {
    const backend = (yield* Backend).name
    const batch = randomBatch(batchSize)
    const cases: Array<Case> = []
    for (const model of Models.modelNames)
      for (const policy of [Policy.bptt, Policy.sltt, Policy.slttK(1)]) {
        const graph = yield* Graph.make(shape, Models.models[model](classes, { tau: 2 }))
        const trainer = yield* Train.make(graph, policy, {
          batchSize,
          timeSteps,
          loss: defaultLoss,
          optimizer: Optimizer.options("adam"),
          key: Key.make(0),
        })
        cases.push({ model, policy: policy.name, trainer, seconds: [] })
      }
    for (let round = 0; round <= rounds; round++)
      for (const each of cases) {
        const before = performance.now()
        each.last = yield* each.trainer.step(batch, { update: round + 1, learningRate: 1e-3 })
        // The first round warms up.
        if (round > 0) each.seconds.push((performance.now() - before) / 1000)
      }
    return cases.map(({ model, policy, trainer, seconds, last }): StepResult => {
      const sorted = seconds.toSorted((a, b) => a - b)
      return {
        model,
        policy,
        backend,
        median: sorted[Math.floor(sorted.length / 2)] as number,
        least: sorted[0] as number,
        most: sorted.at(-1) as number,
        plannedBytes: trainer.program.arenaBytes,
        allocatedBytes: trainer.executable.allocatedBytes(),
        loss: (last as Train.BatchResult).loss,
        firingRates: (last as Train.BatchResult).firingRates,
      }
    })
  })
