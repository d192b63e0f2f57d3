/** Reading requests that anybody may have sent: what does not fit is refused with a status and one line, before anything happens. */
import type { Model } from "@spikeroute/backend-wasm/infer"
import { DeploymentError } from "./deployment.ts"

/** A request that is answered with a 4xx. */
export class Refusal extends Error {
  readonly _tag = "Refusal"
  constructor(
    readonly status: number,
    reason: string,
  ) {
    super(reason)
  }

  /** The response to an error; what is neither the client's fault nor that of who deployed says nothing of the inside. */
  static responseOf(error: unknown): Response {
    if (error instanceof Refusal) return new Response(`${error.message}\n`, { status: error.status })
    if (error instanceof DeploymentError) {
      console.error(`error: ${error.message}`)
      return new Response(`${error.message}\n`, { status: 500 })
    }
    console.error(error)
    return new Response("something went wrong here; nothing was changed\n", { status: 500 })
  }
}

const digest = (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))

/** Whether two texts are equal, in a time that does not depend on where they differ. */
const equal = async (a: string, b: string): Promise<boolean> => {
  const [x, y] = (await Promise.all([digest(a), digest(b)])).map((buffer) => new Uint8Array(buffer))
  let difference = 0
  for (let i = 0; i < 32; i++) difference |= (x?.[i] ?? 0) ^ (y?.[i] ?? 1)
  return difference === 0
}

/** Refuses requests that do not carry the write token. */
export const requireToken = async (request: Request, token: string | undefined): Promise<void> => {
  const given = request.headers.get("authorization") ?? ""
  if (!token || !(await equal(given, `Bearer ${token}`)))
    throw new Refusal(401, "this needs the write token: authorization: Bearer …")
}

/** The bytes of a body, if they are not more than `limit`; no more than that is kept. */
const bytesOf = async (request: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> => {
  const tooLarge = () => new Refusal(413, `the body is too large: a sample is ${limit} bytes`)
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge()
  const bytes = new Uint8Array(limit)
  let length = 0
  try {
    for await (const part of request.body ?? []) {
      if (length + part.length > limit) throw tooLarge()
      bytes.set(part, length)
      length += part.length
    }
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(400, `the body broke off after ${length} bytes`)
  }
  return bytes.subarray(0, length)
}

/** The sample in a request's body. */
export const sampleOf = async (request: Request, model: Model): Promise<Float32Array> => {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim()
  if (type !== "application/octet-stream")
    throw new Refusal(
      415,
      `the body is ${type ?? "of no type"}; a sample is application/octet-stream: float32s, little-endian`,
    )
  const shape = [...(model.encoding === "frames" ? [model.timeSteps] : []), ...model.shape]
  const size = shape.reduce((product, extent) => product * extent, 1)
  const bytes = await bytesOf(request, 4 * size)
  if (bytes.length !== 4 * size)
    throw new Refusal(
      400,
      `the body has ${bytes.length} bytes; a sample of ${shape.join("×")} float32s has ${4 * size}`,
    )
  const values = new Float32Array(bytes.buffer)
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new Refusal(400, `value ${bad} of the sample is ${values[bad]}: all have to be finite`)
  return values
}

/** A number that the query gives, if it gives one. */
const queryOf = (request: Request, name: string): number | undefined => {
  const text = new URL(request.url).searchParams.get(name)
  if (text === null) return undefined
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
}

/** The label in a request's query. */
export const labelOf = (request: Request, { classCount }: Model): number => {
  const label = queryOf(request, "label")
  if (label === undefined || !Number.isInteger(label) || label >= classCount)
    throw new Refusal(400, `?label= has to be a whole number from 0 to ${classCount - 1}`)
  return label
}

/** The margin in a request's query. */
export const marginOf = (request: Request): number | undefined => {
  const margin = queryOf(request, "margin")
  if (Number.isNaN(margin)) throw new Refusal(400, "?margin= has to be a number, 0 at least")
  return margin
}
