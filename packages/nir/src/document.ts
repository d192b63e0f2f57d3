/**
 * The contents of a NIR file as plain data: nodes with parameters, and graphs of nodes (Pedersen et al., "Neuromorphic intermediate
 * representation: a unified instruction set for interoperable brain-inspired computing", Nature Communications 2024).
 */
import { Options } from "@spikeroute/core"
import { Data } from "effect"

/** A numeric parameter: an array in row-major order, or a single number if the shape is empty. */
export interface Numbers {
  readonly shape: ReadonlyArray<number>
  readonly values: Float64Array
  /** Number type in the file, such as `<f4`, so that files can be written back unchanged. */
  readonly dtype: string
}

/** A parameter: numbers or a string, such as the padding `same`. */
export type Value = Numbers | string

/** Metadata of a file or node. */
export interface Metadata {
  readonly [name: string]: Value | Metadata
}

/** A node. It is a graph if it has nodes and edges. */
export interface NirNode {
  /** NIR's type, such as `LIF` or `NIRGraph`. */
  readonly type: string
  /** Parameters by NIR's names, channels first. */
  readonly parameters: ReadonlyMap<string, Value>
  readonly metadata?: Metadata
  readonly nodes?: ReadonlyMap<string, NirNode>
  readonly edges?: ReadonlyArray<readonly [from: string, to: string]>
}

/** A file: the version of `nir` that wrote it, and its root node. */
export interface Document {
  readonly version: string
  readonly node: NirNode
}

/** The kind of the document argument. */
export const aDocument: Options.Kind = ["a document, as Nir.read gives", Options.has("version", "node")]

/** A file is malformed, or a network cannot be represented in NIR or here. */
export class NirError extends Data.TaggedError("NirError")<{
  /** Name of the file, if there is one. */
  readonly file?: string
  /** Path of the node, such as `block/lif`; empty for the file as a whole. */
  readonly node: string
  readonly reason: string
}> {
  override get message(): string {
    return [this.file, this.node, this.reason].filter((part) => part !== undefined && part !== "").join(": ")
  }
}
