/** The table of named models: a file and a line here for each. */
import type { Layer } from "../graph/builder.ts"
import type { LifOptions } from "../layers.ts"
import { conv } from "./conv.ts"
import { mlp } from "./mlp.ts"

export { conv, mlp }

/** A model for a number of classes and a kind of neuron. */
export type Model = (classes: number, neuron?: LifOptions) => Layer

export const models = { mlp, conv } as const satisfies Record<string, Model>

export type ModelName = keyof typeof models

export const modelNames = Object.keys(models) as ReadonlyArray<ModelName>
