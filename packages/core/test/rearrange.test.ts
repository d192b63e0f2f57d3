/** Upsampling, reshape, transpose, slice and concatenation, on numbers that say where they stand. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import {
  concatenate,
  flatten,
  Graph,
  GraphError,
  reshape,
  scale,
  slice,
  Train,
  transpose,
  upsample,
  upsample1d,
} from "../src/index.ts"
import { onOracle, runKernel } from "./support.ts"

/** What a network of these layers makes of 0, 1, 2, …, and the shape of its last value but one. */
const outputs = async (shape: ReadonlyArray<number>, ...layers: ReadonlyArray<Graph.Layer>) => {
  const graph = Graph.makeUnsafe(shape, Graph.sequential(...layers, scale(1), flatten()))
  const made = await onOracle(
    Effect.gen(function* () {
      const predictor = yield* Train.makePredictor(graph, { batchSize: 1, timeSteps: 1 })
      const length = shape.reduce((product, extent) => product * extent, 1)
      return (yield* predictor.predict(Float32Array.from({ length }, (_, i) => i))).outputs
    }),
  )
  return [graph.types.get(`${layers.length}`)?.shape, [...made]]
}

test("upsampling repeats rows and columns", async () => {
  // nn.Upsample(scale_factor=(1, 2)) of [[0, 1], [2, 3]] and of two channels at one pixel
  expect(await outputs([2, 2, 1], upsample({ scaleFactor: [1, 2] }))).toEqual([
    [2, 4, 1],
    [0, 0, 1, 1, 2, 2, 3, 3],
  ])
  expect(await outputs([1, 1, 2], upsample({ scaleFactor: 2 }))).toEqual([
    [2, 2, 2],
    [0, 1, 0, 1, 0, 1, 0, 1],
  ])
  expect(await outputs([2, 2], upsample1d({ scaleFactor: 2 }))).toEqual([
    [4, 2],
    [0, 1, 0, 1, 2, 3, 2, 3],
  ])
})

test("reshape preserves the order of elements; to one axis it is a view", async () => {
  expect(await outputs([6], reshape({ shape: [1, 3, 2] }))).toEqual([
    [1, 3, 2],
    [0, 1, 2, 3, 4, 5],
  ])
  const { nodes } = Graph.makeUnsafe([2, 3], reshape({ shape: [6] }))
  expect(nodes.map(({ op }) => op)).toEqual(["flatten"])
})

test("transpose swaps axes", async () => {
  expect(await outputs([2, 3], transpose({ axes: [1, 0] }))).toEqual([
    [3, 2],
    [0, 3, 1, 4, 2, 5],
  ])
  // torch.arange(6.).view(1, 2, 3).permute(2, 0, 1)
  expect(await outputs([1, 2, 3], transpose({ axes: [2, 0, 1] }))).toEqual([
    [3, 1, 2],
    [0, 3, 1, 4, 2, 5],
  ])
})

test("slice selects a range of an axis, by default the channels", async () => {
  expect(await outputs([2, 3], slice({ start: 1 }))).toEqual([
    [2, 2],
    [1, 2, 4, 5],
  ])
  expect(await outputs([3, 2], slice({ axis: 0, start: 1, end: 2 }))).toEqual([
    [1, 2],
    [2, 3],
  ])
})

test("concatenation joins values, including the same value twice", async () => {
  const channels = (x: Graph.Tensor) => concatenate([x.pipe(slice({ start: 2 })), x, x.pipe(slice({ end: 1 }))])
  expect(await outputs([2, 3], channels)).toEqual([
    [2, 5],
    [2, 0, 1, 2, 0, 5, 3, 4, 5, 3],
  ])
  expect(await outputs([2, 1], (x) => concatenate([x, x], { axis: 0 }))).toEqual([
    [4, 1],
    [0, 1, 0, 1],
  ])
})

test("the gradient of a repeated element is the sum of the gradients of its copies", () => {
  const backward = {
    from: 0,
    to: 0,
    axes: [
      { count: 2, from: 3, to: 1 },
      { count: 3, from: 1, to: 0 },
    ],
  }
  const { y } = runKernel(
    "rearrange",
    {
      x: [
        [1, 6],
        [1, 2, 3, 10, 20, 30],
      ],
      y: [[1, 2], [100]],
    },
    backward,
  )
  expect(y).toEqual([106, 160])
})

test("incompatible shapes are rejected, with both named", () => {
  const reason = (shape: ReadonlyArray<number>, layer: Graph.Layer): string => {
    try {
      Graph.makeUnsafe(shape, Graph.sequential(layer, flatten()))
    } catch (error) {
      if (error instanceof GraphError) return error.reason
    }
    return ""
  }
  expect(reason([5], reshape({ shape: [2, 3] }))).toContain("the input is 5, 5 elements; 2×3 has 6")
  expect(reason([5], upsample({ scaleFactor: 2 }))).toContain("the input is 5")
  expect(reason([4, 2], transpose({ axes: [0, 1, 2] }))).toContain("axes [0,1,2] must name each of its 2 axes")
  expect(reason([4, 2], transpose({ axes: [0, 0] }))).toContain("every axis from 0 on, once")
  expect(reason([4, 2], slice({ start: 2 }))).toContain("elements 2 to before 2 of axis 1 are wanted; the input is 4×2")
  expect(reason([4, 2], slice({ end: 3 }))).toContain("the input is 4×2")
  expect(reason([4, 2], slice({ axis: 2, end: 1 }))).toContain("which has no axis 2")
  const other = (x: Graph.Tensor) => concatenate([x, x.pipe(upsample1d({ scaleFactor: 2 }))])
  expect(reason([4, 2], other)).toContain("its inputs are 4×2 and 8×2; they may differ along axis 1 alone")
  expect(reason([2 ** 14, 2], upsample1d({ scaleFactor: 2 ** 14 }))).toBe("")
  expect(reason([2 ** 14, 2 ** 5], upsample1d({ scaleFactor: 2 ** 14 }))).toContain("more than 2^30 elements")
})
