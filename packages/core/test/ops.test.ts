/** Every op's kernels on examples small enough to follow by hand. */
import { describe, expect, test } from "bun:test"
import { Key, Windows } from "../src/index.ts"
import { addOp } from "../src/ops/add.ts"
import { dropoutOp } from "../src/ops/dropout.ts"
import { gainOp } from "../src/ops/gain.ts"
import { scaleOp } from "../src/ops/scale.ts"
import { empty, runKernel, runOp } from "./support.ts"

describe("linear: x = (1, 2), W = (1 2 3; 4 5 6)", () => {
  const weight = [
    [2, 3],
    [1, 2, 3, 4, 5, 6],
  ] as const
  const outputGradient = [
    [1, 3],
    [1, -1, 2],
  ] as const
  const x = [
    [1, 2],
    [1, 2],
  ] as const
  test("y = x·W + b", () => {
    expect(runKernel("linear.forward", { x, weight, y: empty(1, 3) }).y).toEqual([9, 12, 15])
    const bias = [[3], [0.5, 0, -0.5]] as const
    expect(runKernel("linear.forward", { x, weight, bias, y: empty(1, 3) }).y).toEqual([9.5, 12, 14.5])
  })
  test("∂x = ∂y·Wᵀ", () => {
    const { inputGradient } = runKernel("linear.inputGradient", { outputGradient, weight, inputGradient: empty(1, 2) })
    expect(inputGradient).toEqual([5, 11])
  })
  test("∂W += xᵀ·∂y, summed over the batch", () => {
    const { weightGradient } = runKernel("linear.weightGradient", {
      x: [
        [2, 2],
        [1, 2, 0, 1],
      ],
      outputGradient: [
        [2, 3],
        [1, -1, 2, 10, 20, 30],
      ],
      weightGradient: [[2, 3], [100]],
    })
    expect(weightGradient).toEqual([101, 99, 102, 112, 118, 134])
  })
  test("∂b = Σ ∂y over batch and pixels", () => {
    const { biasGradient } = runKernel("bias.gradient", {
      outputGradient: [
        [1, 2, 2, 2],
        [1, 10, 2, 20, 3, 30, 4, 40],
      ],
      biasGradient: [[2], [0.5]],
    })
    expect(biasGradient).toEqual([10.5, 100.5])
  })
})

describe("convolution of the image 1 … 9 with the window (1 2; 3 4)", () => {
  const x = [
    [1, 3, 3, 1],
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  ] as const
  const weight = [
    [2, 2, 1, 1],
    [1, 2, 3, 4],
  ] as const
  const outputGradient = [
    [1, 2, 2, 1],
    [1, 2, 3, 4],
  ] as const
  const window = (kernelSize: number) => ({ ...Windows.windowOf(3, kernelSize, { stride: 1, padding: 0 }), groups: 1 })
  const geometry = window(2)
  test("forward", () => {
    // torch.nn.functional.conv2d(torch.arange(1., 10).view(1, 1, 3, 3), torch.tensor([[[[1., 2], [3, 4]]]]))
    expect(runKernel("conv2d.forward", { x, weight, y: empty(1, 2, 2, 1) }, geometry).y).toEqual([37, 47, 67, 77])
  })
  test("gradient of the weight", () => {
    const operands = { x, outputGradient, weightGradient: empty(2, 2, 1, 1) }
    expect(runKernel("conv2d.weightGradient", operands, geometry).weightGradient).toEqual([37, 47, 67, 77])
  })
  test("gradient of the image", () => {
    const operands = { outputGradient, weight, inputGradient: empty(1, 3, 3, 1) }
    expect(runKernel("conv2d.inputGradient", operands, geometry).inputGradient).toEqual([1, 4, 4, 6, 20, 16, 9, 24, 16])
  })
  test("stride 2 and padding 1 with a window of ones", () => {
    const ones = [[3, 3, 1, 1], [1]] as const
    const padded = { ...Windows.windowOf(3, 3, { stride: 2, padding: 1 }), groups: 1 }
    const { y } = runKernel("conv2d.forward", { x, weight: ones, y: empty(1, 2, 2, 1) }, padded)
    expect(y).toEqual([12, 16, 24, 28])
  })
  test("channels: for one pixel it is a linear layer with bias", () => {
    const operands = {
      x: [
        [1, 1, 1, 2],
        [1, 2],
      ] as const,
      weight: [
        [1, 1, 2, 3],
        [1, 2, 3, 4, 5, 6],
      ] as const,
      bias: [[3], [0.5, 0, -0.5]] as const,
      y: empty(1, 1, 1, 3),
    }
    expect(runKernel("conv2d.forward", operands, window(1)).y).toEqual([9.5, 12, 14.5])
  })
})

describe("pooling", () => {
  test("average: the mean of each window", () => {
    const x = [
      [1, 2, 4, 1],
      [1, 2, 3, 4, 5, 6, 7, 8],
    ] as const
    const window = { ...Windows.tiles(2), share: 1 / 4 }
    expect(runKernel("averagePool.forward", { x, y: empty(1, 1, 2, 1) }, window).y).toEqual([3.5, 5.5])
    const outputGradient = [
      [1, 1, 2, 1],
      [4, 8],
    ] as const
    const { inputGradient } = runKernel(
      "averagePool.backward",
      { outputGradient, inputGradient: [[1, 2, 4, 1], [10]] },
      window,
    )
    expect(inputGradient).toEqual([11, 11, 12, 12, 11, 11, 12, 12])
  })
  test("average: padding zeros count", () => {
    // torch.nn.functional.avg_pool2d(torch.tensor([[[[1., 2], [3, 4]]]]), 2, 2, 1)
    const x = [
      [1, 2, 2, 1],
      [1, 2, 3, 4],
    ] as const
    const { y } = runKernel(
      "averagePool.forward",
      { x, y: empty(1, 2, 2, 1) },
      { ...Windows.windowOf(3, 2, { stride: 2, padding: 1 }), share: 1 / 4 },
    )
    expect(y).toEqual([0.25, 0.5, 0.75, 1])
  })
  test("adaptive: windows of rows 0–1 and 1–2", () => {
    // torch.nn.functional.adaptive_avg_pool2d(torch.arange(1., 10).view(1, 1, 3, 3), 2)
    const x = [
      [1, 3, 3, 1],
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
    ] as const
    expect(runKernel("adaptiveAveragePool.forward", { x, y: empty(1, 2, 2, 1) }).y).toEqual([3, 4, 6, 7])
    const { inputGradient } = runKernel("adaptiveAveragePool.backward", {
      outputGradient: [
        [1, 2, 2, 1],
        [4, 8, 12, 16],
      ],
      inputGradient: empty(1, 3, 3, 1),
    })
    expect(inputGradient).toEqual([1, 3, 2, 4, 10, 6, 3, 7, 4])
  })
  test("max: the largest value of each window; the gradient goes to the first of equal values", () => {
    const x = [
      [1, 2, 4, 1],
      [1, 5, 2, 2, 3, 4, 2, 0],
    ] as const
    const window = Windows.tiles(2)
    expect(runKernel("maxPool.forward", { x, y: empty(1, 1, 2, 1) }, window).y).toEqual([5, 2])
    const { inputGradient } = runKernel(
      "maxPool.backward",
      {
        x,
        outputGradient: [
          [1, 1, 2, 1],
          [7, 9],
        ],
        inputGradient: empty(1, 2, 4, 1),
      },
      window,
    )
    expect(inputGradient).toEqual([0, 7, 9, 0, 0, 0, 0, 0])
  })
  test("max: padding is never selected", () => {
    const x = [
      [1, 2, 2, 1],
      [-1, -2, -3, -4],
    ] as const
    const { y } = runKernel(
      "maxPool.forward",
      { x, y: empty(1, 2, 2, 1) },
      Windows.windowOf(3, 2, { stride: 2, padding: 1 }),
    )
    expect(y).toEqual([-1, -2, -3, -4])
  })
})

describe("elementwise", () => {
  const x = [[3], [1, 2, 3]] as const
  const outputGradient = [[3], [1, 0, -1]] as const
  test("add", () => {
    const { y, gradients } = runOp(addOp, {}, [x, [[3], [10, 0, -3]]], outputGradient, 5)
    expect(y).toEqual([11, 2, 0])
    expect(gradients).toEqual([
      [6, 5, 4],
      [6, 5, 4],
    ])
  })
  test("scale", () => {
    const { y, gradients } = runOp(scaleOp, { factor: -2 }, [x], outputGradient, 5)
    expect(y).toEqual([-2, -4, -6])
    expect(gradients).toEqual([[3, 5, 7]])
  })
  test("gain", () => {
    const { y, gradients } = runOp(gainOp, {}, [x, [[], [0.5]]], outputGradient, 10)
    expect(y).toEqual([0.5, 1, 1.5])
    expect(gradients).toEqual([[10.5, 10, 9.5], [8]])
  })
  test("dropout returns x/(1 − rate) where the mask is 1, forward and backward", () => {
    const { y, gradients } = runOp(dropoutOp, { rate: 0.5 }, [x, [[3], [1, 0, 1]]], outputGradient, 1)
    expect(y).toEqual([2, 0, 6])
    expect(gradients[0]).toEqual([3, 1, -1])
  })
  test("a dropout mask is 1 where the key's uniform numbers are at least the rate", () => {
    const draws = Key.uniform({ hi: 0x3f800000, lo: 0x40000000 }, new Float32Array(5))
    // The words of 1 and 2 as float32.
    const operands = { key: [[2], [1, 2]], mask: empty(5) } as const
    const sorted = draws.toSorted()
    const rate = (sorted[1]! + sorted[2]!) / 2
    const { mask } = runKernel("dropout.mask", operands, { rate })
    expect(mask).toEqual([...draws].map((draw) => (draw > rate ? 1 : 0)))
    expect(mask?.reduce((sum, one) => sum + one)).toBe(3)
  })
})
