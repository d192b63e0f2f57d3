/** The attributes of kernels as 32-bit words, in the order in which the C sources number them: real numbers as float32. */

/** A word is a whole number as it is, or a real one, marked. */
export type Word = number | { readonly float: number }

const float = (value: number): Word => ({ float: value })

// The attributes of each kernel are what core's kernel of that name declares, and what encode.ts adds.
interface Window {
  readonly kernelSize: number
  readonly stride: number
  readonly padding: number
}

interface Neuron {
  readonly reset: string
  readonly surrogate: { readonly name: string; readonly alpha?: number; readonly width?: number }
  readonly smooth?: boolean
  readonly decay?: number
  readonly threshold: number
}

interface Loss {
  readonly target: string
  readonly mix: number
  readonly terms: number
}

const resets = ["soft", "hard", "none"]
const surrogates = ["triangle", "rectangle", "sigmoid", "atan", "fastSigmoid"]

/** The least float32 that is at least a positive number. */
const leastFloatFrom = (value: number): number => {
  const rounded = Float32Array.of(value)
  if ((rounded[0] as number) < value) new Int32Array(rounded.buffer)[0]! += 1
  return rounded[0] as number
}

const window = ({ kernelSize, stride, padding }: Window) => [kernelSize, stride, padding]
const kept = ({ rate }: { readonly rate: number }) => [float(1 - rate)]
const decayed = ({ decay }: { readonly decay: number }) => [float(decay)]
const scaled = ({ factor }: { readonly factor: number }) => [float(factor)]
const geometry = ({ stride, padding }: Window) => [stride, padding]
const loss = ({ target, mix, terms }: Loss) => [target === "ones" ? 0 : 1, float(mix), float(1 - mix), terms]
const neuron = ({ reset, surrogate, smooth, decay, threshold }: Neuron) => [
  resets.indexOf(reset),
  surrogates.indexOf(surrogate.name),
  smooth ? 1 : 0,
  float(decay ?? 1),
  float(threshold),
  float(leastFloatFrom(threshold)),
  float(surrogate.alpha ?? surrogate.width ?? 1),
]

// biome-ignore lint/suspicious/noExplicitAny: each kernel has attributes of its own
const packers: Readonly<Record<string, (attributes: any) => ReadonlyArray<Word>>> = {
  "conv2d.forward": geometry,
  "linear.inputGradient": ({ stays }) => [stays ? 1 : 0],
  "conv2d.inputGradient": geometry,
  "conv2d.weightGradient": geometry,
  "batchNorm.forward": ({ updates }) => [updates],
  "averagePool.forward": window,
  "averagePool.backward": window,
  "maxPool.forward": window,
  "maxPool.backward": window,
  // Of the 24 bits of a uniform number, the least that keeps an element.
  "dropout.mask": ({ rate }) => [Math.ceil(rate * 2 ** 24)],
  "dropout.forward": kept,
  "dropout.backward": kept,
  "scale.forward": scaled,
  "scale.backward": scaled,
  "neuron.forward": neuron,
  "neuron.backward": (attributes) => [...neuron(attributes), attributes.resetGradient ? 1 : 0, attributes.pool ?? 0],
  "readout.forward": decayed,
  "readout.backward": decayed,
  "trace.update": ({ decay }) => [float(decay ?? 1)],
  "loss.forward": loss,
  "loss.backward": loss,
  "spikes.rate": ({ index, terms }) => [index, terms],
  "optimizer.sgd": ({ momentum, weightDecay }) => [float(momentum), float(weightDecay)],
  "optimizer.adam": ({ beta1, beta2, epsilon, weightDecay, decoupled }) => [
    float(beta1),
    float(1 - beta1),
    float(beta2),
    float(1 - beta2),
    float(epsilon),
    float(weightDecay),
    decoupled ? 1 : 0,
  ],
}

/** The attributes of a kernel's instruction as words. */
export const packAttributes = (kernel: string, attributes: unknown): ReadonlyArray<Word> =>
  packers[kernel]?.(attributes) ?? []
