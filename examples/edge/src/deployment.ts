/** The deployed program: whether this worker can serve it, and a fingerprint of its weights. */
import { load, type Model } from "@spikeroute/backend-wasm/infer"
import { layoutOf } from "@spikeroute/core/safetensors-layout"

/** The worker was deployed with a program that it cannot serve; no request can change that. */
export class DeploymentError extends Error {
  readonly _tag = "DeploymentError"
  override readonly name = "DeploymentError"
}

const broken = (reason: string) =>
  new DeploymentError(`the deployed program cannot run: ${reason}; export it again and deploy that`)

/** Of the isolate's 128 MB. */
const memory = { maximumBytes: 2 ** 25 }

/**
 * The deployed program, ready to run.
 *
 * @throws DeploymentError if it is not a program, is damaged, or takes more than the one sample that a request holds
 */
export const modelOf = (kernels: WebAssembly.Module, program: Uint8Array): Model => {
  let model: Model
  try {
    model = load(kernels, program, memory)
  } catch (error) {
    throw broken((error as Error).message)
  }
  if (model.batchSize !== 1)
    throw new DeploymentError(
      `the deployed program takes ${model.batchSize} samples at once, a request holds one: export it with --batch-size 1 and deploy again`,
    )
  return model
}

const sha256 = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("")

/**
 * A fingerprint of the network and weights in a program file, independent of what else it was compiled for.
 *
 * @throws DeploymentError if the file is not a program
 */
export const originOf = async (program: Uint8Array<ArrayBuffer>): Promise<string> => {
  const layout = layoutOf(program)
  if ("reason" in layout) throw broken(layout.reason)
  const named = [...layout.entries].filter(([name]) => name !== "program").sort(([a], [b]) => (a < b ? -1 : 1))
  const weights = await Promise.all(
    named.map(async ([name, { shape, from, to }]) => [name, shape, await sha256(program.slice(from, to))]),
  )
  return sha256(new TextEncoder().encode(JSON.stringify([layout.metadata.graph, weights])))
}
