/**
 * A program file: a compiled program for inference with its weights, which runs without the compiler.
 *
 * It is a safetensors file, so that any tool for these shows its weights: a tensor `program` of int32, the packed words as
 * c/program.h describes them, a float32 tensor `parameter/…` for each parameter and statistic, and in the metadata
 *
 *     format        "spikeroute-program"
 *     version       "1"
 *     kernelTable   the table of kernels that the words are for: see packed.ts
 *     program       JSON: { encoding, buffers: { name: which buffer of the program it is } }
 *     graph         JSON: the network, to compile it anew, for training or for another batch size
 *
 * model.ts runs one; {@link save} makes one; {@link read} gives back network and weights.
 */
import {
  CheckpointError,
  ensureFinite,
  fit,
  Graph,
  type GraphError,
  type MismatchError,
  type NonFiniteTensorError,
  type OptionError,
  Options,
  Program,
  type ProgramError,
  Safetensors,
} from "@spikeroute/core"
import { Effect } from "effect"
import { encode } from "./encode.ts"
import { kernelTable } from "./packed.ts"
import { programOf } from "./program-layout.ts"

type Tensors = Safetensors.TensorFile["tensors"]

/** What the program is compiled for. */
export type SaveOptions = Pick<Program.InferenceOptions, "batchSize" | "timeSteps" | "encoding">

const isWeight = ({ kind }: Program.Buffer) => kind === "parameter" || kind === "statistic"

/**
 * The bytes of a program file. `tensors` are a trainer's, by the names of buffers; those that are no parameters are left out.
 *
 * @example
 * const file = yield* ProgramFile.save(graph, yield* trainer.save, { batchSize: 1, timeSteps: 8, encoding: "frames" })
 */
export const save = (
  graph: Graph.Graph,
  tensors: Tensors,
  options: SaveOptions,
): Effect.Effect<Uint8Array<ArrayBuffer>, OptionError | ProgramError | MismatchError | NonFiniteTensorError> =>
  Effect.gen(function* () {
    const { encoding = "static" } = Options.argument(options, Options.anObject, "ProgramFile.save", "options")
    Options.argument(graph, Options.anObject, "ProgramFile.save", "graph")
    const program = yield* Program.compileInference(graph, options)
    const weights = program.buffers.filter(isWeight)
    const given = yield* fit(
      new Map(graph.parameters.map(({ name, shape }) => [Program.bufferNames.parameter(name), shape])),
      tensors,
      (name) => Program.parameterOf(name) !== undefined,
    )
    const { outputs, output } = Program.bufferNames
    const buffers = Object.fromEntries(
      program.buffers.flatMap((buffer, i) =>
        buffer.role === "input" || buffer.role === "outputs" || isWeight(buffer) ? [[buffer.name, i] as const] : [],
      ),
    )
    // Of several read-outs the first has a name too.
    const [first = "", second] = Object.keys(program.outputs ?? {})
    const aliases = second === undefined ? {} : { [output(first)]: buffers[outputs] }
    const words = encode(program)
    return Safetensors.encode({
      tensors: new Map<string, { readonly shape: ReadonlyArray<number>; readonly values: Float32Array | Int32Array }>([
        ["program", { shape: [words.length], values: words }],
        ...weights.map(({ name }) => [name, given.get(name) as Safetensors.StoredTensor] as const),
      ]),
      metadata: {
        format: "spikeroute-program",
        version: "1",
        kernelTable: String(kernelTable),
        program: JSON.stringify({ encoding, buffers: { ...aliases, ...buffers } }),
        graph: JSON.stringify(Graph.toJson(graph)),
      },
    })
  })

/** What a program file was made of. */
export interface ProgramSource {
  readonly graph: Graph.Graph
  readonly tensors: Tensors
  readonly encoding: Program.Encoding
  readonly timeSteps: number
}

/** Gives back what a program file was made of, for a trainer to go on from; `file` is its name, for errors. */
export const read = (bytes: Uint8Array, file: string): Effect.Effect<ProgramSource, CheckpointError | GraphError> =>
  Effect.gen(function* () {
    Options.argument(file, Options.aString, "ProgramFile.read", "file")
    const { encoding, packed } = yield* Effect.try({
      try: () => programOf(bytes),
      catch: (error) => new CheckpointError({ file, reason: (error as Error).message }),
    })
    const { metadata, tensors } = yield* Safetensors.decode(bytes, file)
    yield* Effect.mapError(ensureFinite(tensors), ({ message }) => new CheckpointError({ file, reason: message }))
    const json = yield* Effect.try({
      try: () => JSON.parse(metadata.graph ?? "") as unknown,
      catch: () => new CheckpointError({ file, reason: "the metadata `graph` are not JSON" }),
    })
    return { graph: yield* Graph.fromJson(json), tensors, encoding, timeSteps: packed[3] ?? 0 }
  })
