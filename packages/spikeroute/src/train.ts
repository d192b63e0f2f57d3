/** Training and prediction with promises. Promises are rejected with the library's errors; `error._tag` distinguishes them. */
import {
  type Backend,
  type BackendUnavailableError,
  Options as Configuration,
  defaultLoss,
  Graph,
  InputError,
  Key,
  Optimizer,
  type OptionError,
  Policy,
  type Program,
  type Shape,
  Train,
} from "@spikeroute/core"
import { Effect, Exit, type Layer, ManagedRuntime, Scope } from "effect"
import { best } from "./backend.ts"
import { batchOf, type Rows, rowsOf, type Samples } from "./samples.ts"

export type { Samples } from "./samples.ts"

/** Options of {@link create}. */
export interface Options extends Partial<Omit<Program.TrainingOptions, "observe" | "hoist">> {
  /** Shape of one sample at one time step, such as [28, 28, 1]. Required for a layer; graphs have their own. */
  readonly shape?: Shape.Shape
  /** The gradient-routing policy. Default `Policy.sltt`. */
  readonly policy?: Policy.Policy
  /** Seed of initial weights and the order of samples. Default 0. */
  readonly seed?: number
  /** The backend. Default: native code if its package is installed, else WebAssembly. */
  readonly backend?: Layer.Layer<Backend, BackendUnavailableError | OptionError>
}

/** Options of {@link Trainer.epochs}. */
export interface EpochOptions {
  /** Number of epochs. */
  readonly epochs: number
  /** The learning rate, or a function from the number of an epoch, counted from 1, to its rate. Default 0.001. */
  readonly learningRate?: number | ((epoch: number) => number)
}

/** The results of an epoch: means over its batches. */
export interface Epoch {
  /** Number of the epoch, counted from 1. */
  readonly epoch: number
  /** The mean loss. */
  readonly loss: number
  /** The fraction of samples whose label has the largest output, if there is one label per sample. */
  readonly accuracy: number | undefined
  /** Spikes per neuron and time step, for each layer of spiking neurons. */
  readonly firingRates: ReadonlyArray<number>
}

/** A network in training. `await using` closes it at the end of a block. */
export interface Trainer extends AsyncDisposable {
  readonly graph: Graph.Graph
  readonly program: Program.Program
  /**
   * Trains for some epochs, each over all samples in a new random order. Samples that do not fill a batch are skipped in that
   * epoch. Epochs are numbered across calls, so a later call continues the training.
   *
   * @throws InputError if the samples do not match the network or do not fill a batch
   */
  readonly epochs: (samples: Samples, options: EpochOptions) => AsyncGenerator<Epoch, void, undefined>
  /** Returns the outputs [N, classes] of any number of samples, and the class with the largest output for each. */
  readonly predict: (
    inputs: Samples["inputs"],
  ) => Promise<{ readonly outputs: Float32Array; readonly classes: Uint32Array }>
  /** Returns everything that training changes, by name; `Safetensors.encode` turns it into a file. */
  readonly save: () => Promise<Train.Tensors>
  /** Restores what {@link save} returned. */
  readonly load: (tensors: Train.Tensors) => Promise<void>
}

const count = (samples: Samples["inputs"], perSample: number): number => {
  const samplesIn = Object(samples).length / perSample
  if (Number.isInteger(samplesIn) && samplesIn > 0) return samplesIn
  throw new InputError({
    what: "inputs",
    reason: `${Object(samples).length} numbers are given; a sample has ${perSample}`,
  })
}

const argmax = (row: Float32Array): number => row.reduce((best, value, i) => (value > row[best]! ? i : best), 0)

/**
 * Prepares a network for training: a layer with the shape of a sample, or a graph. Rejects with an OptionError, GraphError,
 * PolicyError, ProgramError or an error of the backend.
 *
 * @example
 * import { lif, linear, Graph, train } from "spikeroute"
 *
 * const network = Graph.sequential(linear({ features: 16 }), lif(), linear({ features: 2 }))
 * await using trainer = await train.create(network, { shape: [8], timeSteps: 4 })
 */
export const create = async (network: Graph.Layer | Graph.Graph, options: Options = {}): Promise<Trainer> => {
  const {
    shape,
    policy = Policy.sltt,
    seed = 0,
    backend = best,
    ...given
  } = Configuration.argument(options, Configuration.anObject, "train.create", "options")
  const training = {
    ...{ batchSize: 32, timeSteps: 4, encoding: "static" as const, loss: defaultLoss, optimizer: Optimizer.adam() },
    ...given,
  }
  const graph = typeof network === "function" ? Graph.makeUnsafe(shape ?? [], network) : network
  const runtime = ManagedRuntime.make(backend)
  const scope = Scope.makeUnsafe()
  const run = <A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>): Promise<A> =>
    runtime.runPromise(Scope.provide(effect, scope))
  const close = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await runtime.dispose()
  }
  try {
    const key = Key.make(seed)
    const trainer = await run(Train.make(graph, policy, { ...training, key }))
    return facade({ trainer, key, run, close })
  } catch (error) {
    await close()
    throw error
  }
}

interface Parts {
  readonly trainer: Train.Trainer
  readonly key: Key.Key
  readonly run: <A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>) => Promise<A>
  readonly close: () => Promise<void>
}

const facade = ({ trainer, key, run, close }: Parts): Trainer => {
  const { graph, program } = trainer
  const { batchSize, timeSteps, encoding } = program
  const inputSteps = encoding === "frames" ? timeSteps : 1
  const perSample = inputSteps * graph.input.reduce((product, extent) => product * extent, 1)
  let epoch = 0
  let update = 0
  let predictor: Promise<Train.Predictor> | undefined
  let changed = true

  const epochs = async function* (samples: Samples, { epochs: wanted, learningRate = 1e-3 }: EpochOptions) {
    const total = count(samples.inputs, perSample)
    const inputs = rowsOf("inputs", samples.inputs, total, inputSteps)
    const told = (["labels", "targets"] as const).flatMap((what): ReadonlyArray<readonly [string, Rows]> => {
      if (samples[what] === undefined) return []
      const rows = rowsOf(what, samples[what], total, 1)
      const perStep = what === "labels" && rows.length > 1 && rows.length === timeSteps
      return [[what, perStep ? { ...rows, steps: timeSteps } : rows]]
    })
    const classed = told.some(([what, { length }]) => what === "labels" && length === 1)
    if (total < batchSize)
      throw new InputError({ what: "inputs", reason: `${total} samples do not fill a batch of ${batchSize}` })
    const batches = Math.floor(total / batchSize)
    for (const last = epoch + wanted; epoch < last; ) {
      epoch++
      const order = Key.permutation(Key.fold(key, "order", epoch), total)
      const sums = { loss: 0, hits: 0, rates: [] as Array<number> }
      for (let b = 0; b < batches; b++) {
        const chosen = order.subarray(b * batchSize, (b + 1) * batchSize)
        const of = (rows: Rows) => batchOf(rows, chosen, batchSize)
        const batch: Train.Batch = {
          inputs: of(inputs),
          ...Object.fromEntries(told.map(([what, rows]) => [what, of(rows)])),
        }
        const rate = typeof learningRate === "function" ? learningRate(epoch) : learningRate
        const result = await run(trainer.step(batch, { update: ++update, learningRate: rate }))
        changed = true
        sums.loss += result.loss
        result.firingRates.forEach((each, i) => {
          sums.rates[i] = (sums.rates[i] ?? 0) + each
        })
        if (classed) sums.hits += Train.hits(result.outputs, batch.labels as Float32Array, 1)
      }
      yield {
        epoch,
        loss: sums.loss / batches,
        accuracy: classed ? sums.hits / (batches * batchSize) : undefined,
        firingRates: sums.rates.map((each) => each / batches),
      }
    }
  }

  const predict: Trainer["predict"] = async (given) => {
    const total = count(given, perSample)
    const rows = rowsOf("inputs", given, total, inputSteps)
    predictor ??= run(Train.makePredictor(graph, { batchSize, timeSteps, encoding }))
    const ready = await predictor
    if (changed) await run(Effect.flatMap(trainer.save, ready.load))
    changed = false
    const parts: Array<Float32Array> = []
    for (let from = 0; from < total; from += batchSize) {
      const chosen = Uint32Array.from({ length: Math.min(batchSize, total - from) }, (_, i) => from + i)
      const { outputs } = await run(ready.predict(batchOf(rows, chosen, batchSize)))
      parts.push(outputs.subarray(0, (outputs.length / batchSize) * chosen.length))
    }
    const classes = parts[0]!.length / Math.min(batchSize, total)
    const outputs = new Float32Array(total * classes)
    parts.forEach((part, i) => {
      outputs.set(part, i * batchSize * classes)
    })
    return {
      outputs,
      classes: Uint32Array.from({ length: total }, (_, n) => argmax(outputs.subarray(n * classes, (n + 1) * classes))),
    }
  }

  return {
    ...{ graph, program, epochs, predict },
    save: () => run(trainer.save),
    load: async (tensors) => {
      await run(trainer.load(tensors))
      changed = true
    },
    [Symbol.asyncDispose]: close,
  }
}
