import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { dirname, join } from "node:path"
import { type Functions, makeFunctions, start } from "../scripts/functions.ts"

const functions: Functions = await makeFunctions()
const sample = Float32Array.from({ length: 28 * 28 }, (_, i) => (i % 7) / 7)
let answer: unknown

afterAll(() => functions.remove())

for (const [name, command] of Object.entries(functions.commands))
  describe(`on ${name}`, () => {
    let running: Awaited<ReturnType<typeof start>>
    beforeAll(async () => {
      running = await start(command)
    })
    afterAll(() => running?.stop())

    const post = async (body: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | string) => {
      const response = await fetch(running.url, { method: "POST", body })
      return { status: response.status, body: await response.json() }
    }

    test("a sample gets its class, the same everywhere", async () => {
      const { status, body } = await post(sample)
      expect(status).toBe(200)
      expect(body).toEqual({ class: expect.any(Number), steps: expect.any(Number) })
      answer ??= body
      expect(body).toEqual(answer)
    })

    test("what is no sample is refused with one line, and the next sample is answered", async () => {
      expect(await post("short")).toEqual({
        status: 400,
        body: { error: "the body has 5 bytes; a sample of 28×28×1 float32s has 3136" },
      })
      expect((await post(new Uint8Array(1e6))).status).toBe(413)
      expect((await post(sample.map(() => Number.NaN))).status).toBe(400)
      expect((await fetch(running.url)).status).toBe(405)
      expect((await post(sample)).body).toEqual(answer)
    })
  })

test("as a Lambda handler", async () => {
  process.env.PROGRAM = functions.program
  const { handler } = await import(join(dirname(functions.program), "lambda.mjs"))
  const body = Buffer.from(sample.buffer).toString("base64")
  const { statusCode, body: text } = await handler({ body, isBase64Encoded: true })
  expect({ statusCode, body: JSON.parse(text) }).toEqual({ statusCode: 200, body: answer })
  expect((await handler({ body: "short" })).statusCode).toBe(400)
})
