/** Reading requests from untrusted clients: an invalid one is refused with a status and one line before anything else happens. */
import { InputError, type Model } from "@spikeroute/backend-wasm/infer"
import { quote } from "@spikeroute/core/text"
import { DeploymentError } from "./deployment.ts"
import { StorageError } from "./storage.ts"

/** Answers a request with a status other than 200 and one line. */
export class Refusal extends Error {
  readonly _tag = "Refusal"
  constructor(
    readonly status: number,
    reason: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(reason)
  }
}

/** The response to an error. An internal error, caused neither by the client nor by the deployment, reveals no details. */
const responseTo = (error: unknown): Response => {
  if (error instanceof Refusal) return new Response(`${error.message}\n`, error)
  // A finite sample of the right shape whose values are too large for the network.
  if (error instanceof InputError) return new Response(`${error.message}\n`, { status: 400 })
  if (error instanceof DeploymentError || error instanceof StorageError) {
    console.error(`error: ${error.message}`)
    return new Response(`${error.message}\n`, { status: 500 })
  }
  console.error(error)
  return new Response("something went wrong here\n", { status: 500 })
}

/** Milliseconds allowed for reading a body, and bytes read of a refused one; the rest is cut off. */
const patience = 5000
const mostRead = 2 ** 24

/** Reads a body part by part and returns how that ended. */
const read = async (
  request: Request,
  take: (part: Uint8Array) => void = () => {},
): Promise<"whole" | "long" | "late" | "broken"> => {
  if (request.body === null || request.bodyUsed) return "whole"
  const reader = request.body.getReader()
  let late = false
  const timer = setTimeout(() => {
    late = true
    reader.cancel().catch(() => {})
  }, patience)
  // A body that is announced to be too long is not read at all.
  let length = Number(request.headers.get("content-length")) > mostRead ? Number.POSITIVE_INFINITY : 0
  try {
    while (length <= mostRead) {
      const { done, value } = await reader.read()
      if (late) return "late"
      if (done) return "whole"
      take(value)
      length += value.length
    }
    await reader.cancel()
    return "long"
  } catch {
    return late ? "late" : "broken"
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Answers a request; `work` may throw a refusal. The rest of the body is read first: if a request has not been read to its end, the
 * runtime closes its connection while the client may be about to reuse it.
 */
export const answer = async (request: Request, work: () => Promise<Response>): Promise<Response> => {
  const response = await work().catch(responseTo)
  await read(request)
  return response
}

/** The URL of a request; its Host header is part of it. */
export const urlOf = (request: Request): URL => {
  if (request.url.length > 2048) throw new Refusal(414, "the URL is longer than 2,048 characters")
  const url = URL.parse(request.url)
  if (url === null) throw new Refusal(400, `${quote(request.url)} is not a URL: check the path and the Host header`)
  return url
}

const digest = (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))

/** Compares two texts in a time that does not depend on where they differ. */
const equal = async (a: string, b: string): Promise<boolean> => {
  const [x, y] = (await Promise.all([digest(a), digest(b)])).map((buffer) => new Uint8Array(buffer))
  let difference = 0
  for (let i = 0; i < 32; i++) difference |= (x?.[i] ?? 0) ^ (y?.[i] ?? 1)
  return difference === 0
}

/** Refuses requests without the write token. */
export const requireToken = async (request: Request, token: string | undefined): Promise<void> => {
  const given = request.headers.get("authorization") ?? ""
  if (token === undefined || !(await equal(given, `Bearer ${token}`)))
    throw new Refusal(401, "this needs the write token: authorization: Bearer …", { "www-authenticate": "Bearer" })
}

/** The shape of a sample. */
const extentsOf = ({ encoding, timeSteps, shape }: Model): ReadonlyArray<number> => [
  ...(encoding === "frames" ? [timeSteps] : []),
  ...shape,
]

/** The size of a sample in bytes. */
export const sampleBytes = (model: Model): number => extentsOf(model).reduce((product, extent) => product * extent, 4)

/** The sample in a request's body. */
export const sampleOf = async (request: Request, model: Model): Promise<Float32Array> => {
  const type = request.headers.get("content-type")
  if (type?.split(";")[0]?.trim().toLowerCase() !== "application/octet-stream")
    throw new Refusal(
      415,
      `the body is ${type === null ? "of no type" : quote(type)}; a sample is application/octet-stream: float32s, little-endian`,
    )
  const expected = sampleBytes(model)
  const bytes = new Uint8Array(expected)
  let length = 0
  const end = await read(request, (part) => {
    if (length + part.length <= expected) bytes.set(part, length)
    length += part.length
  })
  if (end === "long" || length > expected)
    throw new Refusal(413, `the body is too large: a sample is ${expected} bytes`)
  if (end === "late") throw new Refusal(408, `the body did not arrive within ${patience / 1000} seconds`)
  if (end === "broken") throw new Refusal(400, `the body broke off after ${length} bytes`)
  if (length < expected)
    throw new Refusal(
      400,
      `the body has ${length} bytes; a sample of ${extentsOf(model).join("×")} float32s has ${expected}`,
    )
  const values = new Float32Array(bytes.buffer)
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new Refusal(400, `value ${bad} of the sample is ${values[bad]}: all have to be finite`)
  return values
}

/** The number in the query, if given. */
const queryOf = (request: Request, name: string): number | undefined => {
  const [given, ...more] = urlOf(request).searchParams
  const other = [given, ...more].find((each) => each !== undefined && each[0] !== name)
  if (other !== undefined) throw new Refusal(400, `there is no ?${quote(other[0])}: there is ?${name}=`)
  if (more.length > 0) throw new Refusal(400, `?${name}= is given ${more.length + 1} times`)
  if (given === undefined) return undefined
  const value = /^\d+(\.\d+)?$/.test(given[1]) ? Number(given[1]) : Number.NaN
  return Number.isFinite(value) ? value : Number.NaN
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
  if (Number.isNaN(margin)) throw new Refusal(400, "?margin= must be a number of at least 0")
  return margin
}
