/**
 * Inference only: runs a program file on a compiled module, without compiler, trainer or Effect. For edge functions and web pages.
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

/** Default limit: the total memory of an edge function's isolate. Files that need more are refused. */
const isolateBytes = 2 ** 27

/**
 * Loads a program file, as written by `bun run export RUN --format program`, on one thread.
 *
 * @param module the compiled module `@spikeroute/backend-wasm/spikeroute.wasm`
 * @param options `maximumBytes`: limit of memory, 4 MiB to 4 GiB; default 128 MiB
 * @throws ProgramFileError with the offset of the error, if the file is not a program file, is damaged or needs more memory
 * @throws InputError if the module or an option is invalid
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
