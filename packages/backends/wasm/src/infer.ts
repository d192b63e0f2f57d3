/**
 * Inference alone: a program file on a compiled module, without compiler, trainer or Effect. For functions at the edge and pages.
 *
 * @example
 * import { load } from "@spikeroute/backend-wasm/infer"
 * import kernels from "@spikeroute/backend-wasm/spikeroute.wasm"
 * import file from "./program.safetensors"
 *
 * const model = load(kernels, new Uint8Array(file))
 * const { classes, meanSteps } = model.predict(frames, { margin: 4 })
 */
import { InputError, load as loadOn, type Model } from "@spikeroute/backend-kernels/model"
import { optionFault, quote } from "@spikeroute/core/text"
import { engineOf, instantiate, leastBytes, type MemoryOptions, mostBytes } from "./engine.ts"

export {
  InputError,
  type Model,
  type Prediction,
  ProgramFileError,
  type StreamStep,
} from "@spikeroute/backend-kernels/model"

/** What an isolate of an edge function has in all: a file that asks for more is refused. */
const isolateBytes = 2 ** 27

/**
 * Loads a program file, as `bun run export RUN --format program` writes it, on one thread.
 *
 * @param module `@spikeroute/backend-wasm/spikeroute.wasm`, compiled
 * @param options `maximumBytes` of memory, 4 MiB to 4 GiB; default 128 MiB
 * @throws ProgramFileError, with the byte at fault, if the file is not a program file, is damaged or needs more memory
 * @throws InputError if the module or an option is not valid
 */
export const load = (module: WebAssembly.Module, file: Uint8Array, options: MemoryOptions = {}): Model => {
  const fault = optionFault(options, ["maximumBytes"])
  if (fault !== undefined) throw new InputError(fault)
  const { maximumBytes = isolateBytes } = options
  if (!(module instanceof WebAssembly.Module))
    throw new InputError(`the module is ${quote(module)}; it must be a WebAssembly.Module`)
  if (!(typeof maximumBytes === "number" && maximumBytes >= leastBytes && maximumBytes <= mostBytes))
    throw new InputError(
      `maximumBytes is ${quote(maximumBytes)}; it must be a number from ${leastBytes} to ${mostBytes}`,
    )
  return loadOn(engineOf(instantiate(module, { maximumBytes }), 1), file)
}
