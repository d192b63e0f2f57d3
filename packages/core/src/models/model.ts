import type { Layer } from "../graph/builder.ts"
import type { LifOptions } from "../layers.ts"

export interface ModelOptions {
  /** A factor of all hidden layers' channels or features, rounded, at least one each. Default 1. */
  readonly width?: number
  /** Share of the activations that dropout drops in training. Default 0. */
  readonly dropout?: number
  readonly neuron?: LifOptions
}

/** A model for a number of classes. Its input's shape comes with the graph: `Graph.make(shape, resnet18(10))`. */
export type Model = (classes: number, options?: ModelOptions) => Layer

/** So many channels under a width factor. */
export const widened = (channels: number, width: number): number => Math.max(1, Math.round(channels * width))
