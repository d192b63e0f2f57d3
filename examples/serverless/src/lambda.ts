/** A function for AWS Lambda behind a function URL or API Gateway: the body is a sample; the program file lies beside the code. */
import { failed, open, type Predictor } from "./predict.ts"

/** The part of the event that is read, in payload format 2.0. */
export interface Event {
  readonly body?: string | null
  readonly isBase64Encoded?: boolean
  readonly requestContext?: { readonly http?: { readonly method?: string } }
}

/** Opened by the first call and kept as long as the sandbox. */
let predictor: Promise<Predictor> | undefined

const answerTo = async ({ body, isBase64Encoded, requestContext }: Event) => {
  predictor ??= open(process.env.PROGRAM ?? "program.safetensors").catch((error) => {
    predictor = undefined
    throw error
  })
  const { answer } = await predictor
  const bytes = Buffer.from(body ?? "", isBase64Encoded ? "base64" : "latin1")
  const method = requestContext?.http?.method ?? "POST"
  async function* parts() {
    yield bytes
  }
  // The gateway has checked the Host header and the body's length.
  return answer({ method, host: "lambda", length: bytes.length, body: parts() })
}

export const handler = async (event: Event) => {
  const { status, headers, body } = await answerTo(event).catch(failed)
  return {
    statusCode: status,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  }
}
