/**
 * Batch normalisation (Ioffe & Szegedy, ICML 2015), separately for each time step, per channel over batch, height and width:
 *
 *     y = weight · (x − mean)/√(variance + ε) + bias,   ε = 10⁻⁵
 *
 * Training uses the batch's mean and (biased) variance, and updates the running statistics with `momentum` = 0.1 at every time
 * step, whether the step is trained or not; the running variance is unbiased. Inference uses the running statistics.
 */
import { type Layer, leaf, NoOptions, node, parameter } from "../graph/builder.ts"
import { elementwise, make as kernel, type Reference } from "../kernel.ts"
import { make, sameShape } from "../op.ts"
import { mustBe, size } from "../shape.ts"

/** ε, which keeps the variance from being 0. */
const epsilon = 1e-5
/** The weight of a batch's statistics in an update of the running statistics. */
const momentum = 0.1

/** `updates` is the number of updates of the running statistics: the number of time steps that one execution counts for. */
export const batchNormForward = kernel<{ readonly updates: number }>()({
  name: "batchNorm.forward",
  operands: {
    x: "read",
    weight: "read",
    bias: "read",
    runningMean: "update",
    runningVariance: "update",
    mean: "write",
    inverseDeviation: "write",
    y: "write",
  },
})

export const batchNormForwardReference: Reference<typeof batchNormForward> = {
  cost: ({ x }) => elementwise(size(x.shape), 2, 4),
  run: ({ x, weight, bias, runningMean, runningVariance, mean, inverseDeviation, y }, { updates }) => {
    const channels = weight.data.length
    const count = x.data.length / channels
    for (let c = 0; c < channels; c++) {
      let sum = 0
      for (let i = c; i < x.data.length; i += channels) sum += x.data[i]!
      const average = sum / count
      let squares = 0
      for (let i = c; i < x.data.length; i += channels) squares += (x.data[i]! - average) ** 2
      const inverse = 1 / Math.sqrt(squares / count + epsilon)
      for (let i = c; i < x.data.length; i += channels)
        y.data[i] = (x.data[i]! - average) * inverse * weight.data[c]! + bias.data[c]!
      mean.data[c] = average
      inverseDeviation.data[c] = inverse
      for (let update = 0; update < updates; update++) {
        runningMean.data[c]! += momentum * (average - runningMean.data[c]!)
        runningVariance.data[c]! += momentum * (squares / Math.max(1, count - 1) - runningVariance.data[c]!)
      }
    }
  },
}

/** y = weight · (x − runningMean)/√(runningVariance + ε) + bias */
export const batchNormInference = kernel()({
  name: "batchNorm.inference",
  operands: { x: "read", weight: "read", bias: "read", runningMean: "read", runningVariance: "read", y: "write" },
})

export const batchNormInferenceReference: Reference<typeof batchNormInference> = {
  cost: ({ x }) => elementwise(size(x.shape), 1, 1),
  run: ({ x, weight, bias, runningMean, runningVariance, y }) => {
    const channels = weight.data.length
    for (let i = 0; i < x.data.length; i++) {
      const c = i % channels
      y.data[i] =
        ((x.data[i]! - runningMean.data[c]!) / Math.sqrt(runningVariance.data[c]! + epsilon)) * weight.data[c]! +
        bias.data[c]!
    }
  },
}

/**
 * With x̂ = (x − mean)·inverseDeviation, and means over batch and pixels:
 * ∂bias = Σ∂y,  ∂weight = Σ∂y·x̂,  ∂x = weight·inverseDeviation·(∂y − mean(∂y) − x̂·mean(∂y·x̂))
 */
export const batchNormBackward = kernel()({
  name: "batchNorm.backward",
  operands: {
    x: "read",
    weight: "read",
    mean: "read",
    inverseDeviation: "read",
    outputGradient: "read",
    inputGradient: "gradient?",
    weightGradient: "gradient",
    biasGradient: "gradient",
  },
})

export const batchNormBackwardReference: Reference<typeof batchNormBackward> = {
  cost: ({ x }) => elementwise(size(x.shape), 4, 5),
  run: ({ x, weight, mean, inverseDeviation, outputGradient, inputGradient, weightGradient, biasGradient }) => {
    const channels = weight.data.length
    const count = x.data.length / channels
    for (let c = 0; c < channels; c++) {
      const normalized = (i: number) => (x.data[i]! - mean.data[c]!) * inverseDeviation.data[c]!
      let sum = 0
      let projection = 0
      for (let i = c; i < x.data.length; i += channels) {
        sum += outputGradient.data[i]!
        projection += outputGradient.data[i]! * normalized(i)
      }
      weightGradient.data[c]! += projection
      biasGradient.data[c]! += sum
      if (inputGradient === undefined) continue
      const factor = weight.data[c]! * inverseDeviation.data[c]!
      for (let i = c; i < x.data.length; i += channels)
        inputGradient.data[i]! += factor * (outputGradient.data[i]! - (sum + normalized(i) * projection) / count)
    }
  },
}

export const batchNormOp = /* @__PURE__ */ make({
  mixesSamples: true,
  name: "batchNorm",
  attributes: NoOptions,
  inputs: ["activation", "parameter", "parameter", "statistic", "statistic"],
  infer: (inputs, _, fail) => {
    const [x, ...perChannel] = inputs
    for (const { shape } of perChannel) mustBe("parameter of each channel", shape, [x!.shape.at(-1)], fail)
    return sameShape(inputs)
  },
  forward: ({ emit, input, inputType, output, residual, mode, steps }) => {
    const operands = {
      x: input(0),
      weight: input(1),
      bias: input(2),
      runningMean: input(3),
      runningVariance: input(4),
      y: output,
    }
    if (mode === "inference") return emit(batchNormInference, operands)
    const { shape } = inputType(1)
    const statistics = { mean: residual("mean", shape), inverseDeviation: residual("inverseDeviation", shape) }
    emit(batchNormForward, { ...operands, ...statistics }, { updates: steps })
  },
  backward: ({ emit, input, inputType, residual, outputGradient, gradient, unwanted }) => {
    if (outputGradient === undefined) return
    const { shape } = inputType(1)
    emit(batchNormBackward, {
      x: input(0),
      weight: input(1),
      mean: residual("mean", shape),
      inverseDeviation: residual("inverseDeviation", shape),
      outputGradient,
      inputGradient: gradient(0),
      weightGradient: gradient(1) ?? unwanted(1),
      biasGradient: gradient(2) ?? unwanted(2),
    })
  },
})

/**
 * Batch normalisation per channel and time step; the shape does not change. Parameters `weight` and `bias`, statistics
 * `running_mean` and `running_var`, named as in PyTorch.
 */
export const batchNorm = (options: Readonly<Record<string, never>> = {}): Layer =>
  leaf("batchNorm", NoOptions, options, (x, name) => {
    const shape = [x.shape.at(-1) ?? 1]
    const constant = (value: number) => ({ kind: "constant", value }) as const
    return node(x, name, batchNormOp, {}, [
      x,
      parameter(x, `${name}.weight`, shape, constant(1)),
      parameter(x, `${name}.bias`, shape, constant(0)),
      parameter(x, `${name}.running_mean`, shape, constant(0), "statistic"),
      parameter(x, `${name}.running_var`, shape, constant(1), "statistic"),
    ])
  })
