/**
 * Program files: a network compiled for inference, with its weights, that runs without the compiler.
 *
 * A program file is a safetensors file, so any tool for that format can show its weights. It contains the int32 tensor `program`, the packed
 * program as described in c/program.h; a float32 tensor per parameter and statistic, under its name; and the metadata
 *
 *     format        "spikeroute-program"
 *     version       "1"
 *     kernelTable   hash of the kernel table that the program requires: see packed.ts
 *     program       JSON: { encoding, buffers: { name: index of the buffer in the program } }
 *     graph         JSON: the network, to recompile it for training or another batch size
 *
 * model.ts runs such a file; {@link save} writes one; {@link read} returns its network and weights.
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
  ProgramError,
  Safetensors,
  Train,
} from "@spikeroute/core"
import { Effect } from "effect"
import { encode } from "./encode.ts"
import { kernelTable } from "./packed.ts"
import { programOf } from "./program-layout.ts"

type Tensors = Safetensors.TensorFile["tensors"]

/** Options for which the program is compiled. */
export type SaveOptions = Pick<Program.InferenceOptions, "batchSize" | "timeSteps" | "encoding">

const isWeight = ({ kind }: Program.Buffer) => kind === "parameter" || kind === "statistic"

/**
 * Encodes a program file. `tensors` are a trainer's tensors by buffer name; those that are not parameters are ignored.
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
      new Map(graph.parameters.map(({ name, shape }) => [name, shape])),
      Train.parametersOf(tensors),
    )
    if (given.has("program"))
      return yield* new ProgramError({
        reason: 'a parameter is named "program", as what a program file holds beside them',
      })
    const { outputs, output } = Program.bufferNames
    const buffers = Object.fromEntries(
      program.buffers.flatMap((buffer, i) =>
        buffer.role === "input" || buffer.role === "outputs" || isWeight(buffer) ? [[buffer.name, i] as const] : [],
      ),
    )
    // With several read-outs, the first is also available by name.
    const [first = "", second] = Object.keys(program.outputs ?? {})
    const aliases = second === undefined ? {} : { [output(first)]: buffers[outputs] }
    const words = encode(program)
    return Safetensors.encode({
      tensors: new Map<string, { readonly shape: ReadonlyArray<number>; readonly values: Float32Array | Int32Array }>([
        ["program", { shape: [words.length], values: words }],
        ...weights.map(({ owner = "" }) => [owner, given.get(owner) as Safetensors.StoredTensor] as const),
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

/** The contents of a program file, for further training. */
export interface ProgramSource {
  readonly graph: Graph.Graph
  readonly tensors: Tensors
  readonly encoding: Program.Encoding
  readonly timeSteps: number
}

/** Reads the network and weights of a program file. `file` is its name in errors. */
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
      catch: () => new CheckpointError({ file, reason: "the metadata `graph` is not JSON" }),
    })
    const weights = [...Train.parametersOf(tensors)].filter(([name]) => name !== "program")
    return { graph: yield* Graph.fromJson(json), tensors: new Map(weights), encoding, timeSteps: packed[3] ?? 0 }
  })
