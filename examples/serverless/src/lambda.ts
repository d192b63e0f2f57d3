/** A function for AWS Lambda behind a function URL or API Gateway: the body is a sample, the file of the program lies beside it. */
import { open, type Predictor } from "./predict.ts"

/** The part of the event that is read: payload format 2.0. */
export interface Event {
  readonly body?: string
  readonly isBase64Encoded?: boolean
}

/** Opened by the first call, and kept as long as the sandbox is. */
let predictor: Promise<Predictor> | undefined

export const handler = async ({ body = "", isBase64Encoded = false }: Event) => {
  predictor ??= open(process.env.PROGRAM ?? "program.safetensors").catch((error) => {
    predictor = undefined
    throw error
  })
  const { predict } = await predictor
  const answer = predict(Buffer.from(body, isBase64Encoded ? "base64" : "latin1"))
  return {
    statusCode: answer.status,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(answer.body),
  }
}
