/** What programs cost, against formulas written down from the networks' equations. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  batchNorm,
  conv2d,
  defaultLoss,
  flatten,
  Graph,
  lif,
  linear,
  Models,
  Optimizer,
  Policy,
  Program,
} from "../src/index.ts"

/** Multiplications and additions of a neuron's backward step: ∂s·g with g = max(0, 1 − |u − ϑ|). */
const own = [1, 3] as const
/** The same with the way through time: λ·(∂v + (∂s − ∂v)·g). */
const throughTime = [2, 5] as const

const costOf = (network: Graph.Layer, shape: ReadonlyArray<number>, policy: Policy.Policy, N: number, T: number) =>
  Program.cost(
    Effect.runSync(
      Program.compile(Graph.makeUnsafe(shape, network), policy, {
        batchSize: N,
        timeSteps: T,
        loss: defaultLoss,
        optimizer: Optimizer.sgd(),
      }),
    ),
  )

describe("mlp of 4 inputs and 10 classes, batch 2, one image for 6 time steps", () => {
  const N = 2
  const T = 6
  /** Of the two hidden layers and the read-out: weights that spikes go through at each step. */
  const [hidden, out] = [1000 * 1000, 1000 * 10]
  const cost = (policy: Policy.Policy) => costOf(Models.mlp(10), [4], policy, N, T)

  const forward = {
    // The first layer once; 1 multiplication for each neuron (the leak), 2 for each logit (the loss) at each step.
    multiplications: N * 4000 + T * (N * 2000 + 2 * N * 10),
    // The first layer and its bias once; at each step 4 for each neuron (charge, reset, two comparisons with the threshold), biases, 4 for each logit, and the count
    // of spikes.
    additions: N * (4000 + 1000) + T * (4 * N * 2000 + N * 1010 + 4 * N * 10 + N * 2000),
    spikeOperations: T * N * (hidden + out),
  }
  /** A trained step: gradients of inputs multiply, those of weights add where a spike was. */
  const backward = (steps: number, [times, plus]: readonly [number, number]) => ({
    multiplications: steps * (3 * N * 10 + N * (hidden + out) + times * N * 2000) + N * 4000,
    additions: steps * (4 * N * 10 + N * (hidden + out) + N * 1010 + plus * N * 2000) + N * (4000 + 1000),
    spikeOperations: steps * N * (hidden + out),
  })
  const weights = 4 * 1000 + 1000 + hidden + 1000 + out + 10

  test("sltt", () => {
    const found = cost(Policy.sltt)
    expect(found.forward).toEqual(forward)
    expect(found.backward).toEqual(backward(T, own))
    expect(found.update).toEqual({ multiplications: 2 * weights, additions: 2 * weights, spikeOperations: 0 })
  })
  test("slttk(2): the cost of two trained steps", () => {
    const found = cost(Policy.slttK(2))
    expect(found.forward).toEqual(forward)
    expect(found.backward).toEqual(backward(2, own))
  })
  test("bptt: including the gradient through time", () => {
    const found = cost(Policy.bptt)
    expect(found.forward).toEqual(forward)
    expect(found.backward).toEqual(backward(T, throughTime))
  })

  /** Bytes of float32 numbers, and of rows of 1,000 spikes; every buffer takes whole lines of 64 bytes. */
  const floats = (count: number) => Math.ceil((4 * count) / 64) * 64
  const spikes = N * 4 * Math.ceil(1000 / 32)
  const parameters = floats(4000) + floats(1000) + floats(hidden) + floats(1000) + floats(out) + floats(10)
  const kept = {
    parameter: parameters,
    gradient: parameters,
    optimizer: parameters,
    statistic: 0,
    // The image, the labels, the hyperparameters; the outputs, the metrics.
    input: floats(N * 4) + floats(N) + floats(3),
    metric: floats(N * 10) + floats(3),
  }
  test("sltt stores one potential per neuron and no residual, for any T", () => {
    expect(cost(Policy.sltt).bytesByKind).toEqual({
      ...kept,
      state: 2 * floats(N * 1000),
      // The gradient of the first layer's output, summed over time.
      accumulator: floats(N * 1000),
      residual: 0,
      // At the peak: the first layer's output, two gradients and the spikes between them.
      scratch: 3 * floats(N * 1000) + spikes,
    })
    const peak = (T: number) => costOf(Models.mlp(10), [4], Policy.sltt, N, T).peakBytes
    expect(peak(60)).toBe(peak(1))
  })
  test("ottt: one trace of each layer's spikes, and multiplications by traces instead of additions at spikes", () => {
    const found = cost(Policy.ottt)
    expect(found.forward).toEqual(forward)
    const { multiplications, additions } = backward(T, own)
    const traced = T * N * (hidden + out + 2000)
    expect(found.backward).toEqual({
      multiplications: multiplications + traced,
      additions: additions + traced,
      spikeOperations: 0,
    })
    const sltt = cost(Policy.sltt).bytesByKind
    expect(found.bytesByKind.state).toBe(sltt.state + 2 * floats(N * 1000))
    expect(found.bytesByKind.residual).toBe(0)
  })
  test("bptt-checkpoint stores 3 of 6 steps and recomputes the other 3 without their loss and firing rates", () => {
    const found = cost(Policy.checkpointedBptt)
    expect(found.backward).toEqual(backward(T, throughTime))
    const again = T / 2
    expect(found.forward).toEqual({
      multiplications: forward.multiplications + again * N * 2000,
      additions: forward.additions + again * (4 * N * 2000 + N * 1010),
      spikeOperations: forward.spikeOperations + again * N * (hidden + out),
    })
    expect(found.bytesByKind).toEqual({
      ...kept,
      // The potentials of 3 steps, from one checkpoint to the next, and those that the first of all steps begins with.
      state: 2 * (3 + 1) * floats(N * 1000),
      accumulator: 3 * floats(N * 1000),
      residual: 2 * 3 * spikes + 3 * floats(N * 10),
      scratch: 3 * floats(N * 1000),
    })
  })
  test("the memory of bptt-checkpoint is between those of sltt and bptt, and grows with the square root of T", () => {
    const peak = (policy: Policy.Policy, T: number) => costOf(Models.mlp(10), [4], policy, N, T).peakBytes
    for (const T of [6, 16, 64, 100]) {
      expect(peak(Policy.checkpointedBptt, T)).toBeGreaterThan(peak(Policy.sltt, T))
      expect(peak(Policy.checkpointedBptt, T)).toBeLessThan(peak(Policy.bptt, T))
    }
    const beyond = (T: number) => peak(Policy.checkpointedBptt, T) - peak(Policy.checkpointedBptt, 16)
    // From 4 to 10 and to 16 steps between checkpoints, and as many states.
    expect(beyond(256)).toBe(2 * beyond(100))
  })
  test("bptt stores potentials, spikes and logits of all T steps, and one gradient through time per neuron", () => {
    const { bytesByKind, peakBytes } = cost(Policy.bptt)
    expect(bytesByKind).toEqual({
      ...kept,
      state: 2 * T * floats(N * 1000),
      accumulator: 3 * floats(N * 1000),
      residual: 2 * T * spikes + T * floats(N * 10),
      scratch: 3 * floats(N * 1000),
    })
    expect(peakBytes).toBe(Object.values(bytesByKind).reduce((sum, bytes) => sum + bytes))
  })
})

describe("conv of 8×8 images of 2 channels and 10 classes, batch 3, one image for 4 time steps", () => {
  const N = 3
  const T = 4
  const cost = (policy: Policy.Policy) => costOf(Models.conv(10), [8, 8, 2], policy, N, T)
  /** Multiply-accumulates of the two convolutions and of the read-out. */
  const first = N * 64 * (9 * 2 * 32)
  const second = N * 16 * (9 * 32 * 64)
  const readOut = N * 4 * 64 * 10
  /** Neurons of the two layers, and the pixels that each pool leaves. */
  const neurons = [N * 64 * 32, N * 16 * 64] as const
  const pooled = [N * 16 * 32, N * 4 * 64] as const
  const allNeurons = neurons[0] + neurons[1]
  const allPooled = pooled[0] + pooled[1]
  const logits = N * 10

  test("forward: pools add spikes, and the next layer reads their real-valued output", () => {
    expect(cost(Policy.sltt).forward).toEqual({
      multiplications: first + T * (allNeurons + allPooled + second + readOut + 2 * logits),
      additions:
        first + neurons[0] + T * (4 * allNeurons + second + neurons[1] + readOut + logits + 4 * logits + allNeurons),
      spikeOperations: T * 4 * allPooled,
    })
  })
  const backward = (steps: number, [times, plus]: readonly [number, number], recomputed: number) => ({
    multiplications:
      steps * (3 * logits + 2 * readOut + 2 * second + allPooled + times * allNeurons + recomputed * allPooled) + first,
    additions:
      steps * (4 * logits + 2 * readOut + logits + 2 * second + neurons[1] + 4 * allPooled + plus * allNeurons) +
      first +
      neurons[0],
    spikeOperations: steps * recomputed * 4 * allPooled,
  })
  test("backward of sltt and slttk(1)", () => {
    expect(cost(Policy.sltt).backward).toEqual(backward(T, own, 0))
    expect(cost(Policy.slttK(1)).backward).toEqual(backward(1, own, 0))
  })
  test("bptt recomputes pools in its backward steps instead of storing their outputs", () => {
    expect(cost(Policy.bptt).backward).toEqual(backward(T, throughTime, 1))
  })
})

describe("three convolutions with batch norm, 8×8 images of 2 channels, batch 3, one image for 4 time steps, recomputed", () => {
  const N = 3
  const T = 4
  const block = () => Graph.sequential(conv2d({ channels: 4, kernelSize: 3, padding: 1 }), batchNorm(), lif())
  const network = Graph.sequential(block(), block(), block(), flatten(), linear({ features: 10 }))
  const cost = (policy: Policy.Policy) => costOf(network, [8, 8, 2], policy, N, T)
  /** What a convolution gives, which batch norm needs to go back. The first is computed once in any case. */
  const values = N * 64 * 4

  test.each([Policy.bptt, Policy.sltt])("$name: the second and third convolution run twice", (policy) => {
    const [plain, lean] = [cost(policy), cost(policy.pipe(Policy.recompute))]
    const { multiplications, additions, spikeOperations } = plain.backward
    expect(lean.backward).toEqual({
      multiplications,
      additions: additions + T * 2 * values,
      spikeOperations: spikeOperations + T * 2 * values * 9 * 4,
    })
    expect([lean.forward, lean.update]).toEqual([plain.forward, plain.update])
  })
  test("bptt stores their outputs for no step", () => {
    const [plain, lean] = [cost(Policy.bptt), cost(Policy.bptt.pipe(Policy.recompute))]
    expect(plain.bytesByKind.residual - lean.bytesByKind.residual).toBe(T * 2 * 4 * values)
  })
  test("a convolution with more than 2048 multiplications per element is stored", () => {
    const saved = (channels: number) => {
      const second = Graph.sequential(conv2d({ channels, kernelSize: 3, padding: 1 }), lif(), block(), block())
      const of = (policy: Policy.Policy) =>
        costOf(Graph.sequential(second, flatten(), linear({ features: 10 })), [8, 8, 2], policy, N, T)
      return of(Policy.bptt).bytesByKind.residual - of(Policy.bptt.pipe(Policy.recompute)).bytesByKind.residual
    }
    expect([saved(227), saved(228)]).toEqual([T * 2 * 4 * values, T * 4 * values])
  })
  test("sltt stores one of them at a time instead of both", () => {
    const [plain, lean] = [cost(Policy.sltt), cost(Policy.sltt.pipe(Policy.recompute))]
    expect(plain.peakBytes - lean.peakBytes).toBe(4 * values)
  })
})

test("inference has no backward or update cost", () => {
  const graph = Graph.makeUnsafe([4], Models.mlp(10))
  const none = { multiplications: 0, additions: 0, spikeOperations: 0 }
  const found = Program.cost(Effect.runSync(Program.compileInference(graph, { batchSize: 1, timeSteps: 2 })))
  expect(found.backward).toEqual(none)
  expect(found.update).toEqual(none)
  expect(found.forward.spikeOperations).toBe(2 * 1_010_000)
  expect(found.bytesByKind.gradient + found.bytesByKind.optimizer).toBe(0)
})

test("formatted bytes", () => {
  expect([0, 999, 1234, 12_345, 1_234_567, 12_300_000_000].map(Program.formatBytes)).toEqual([
    "0 B",
    "999 B",
    "1.23 KB",
    "12.3 KB",
    "1.23 MB",
    "12.3 GB",
  ])
})
