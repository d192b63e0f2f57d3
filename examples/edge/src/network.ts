/** The Durable Object: one network, its weights in durable storage. */

import { DurableObject } from "cloudflare:workers"
import type { Model } from "@spikeroute/backend-wasm/infer"
import kernels from "@spikeroute/backend-wasm/spikeroute.wasm"
import program from "../program.safetensors"
import { modelOf } from "./deployment.ts"
import type { Learner } from "./learner.ts"
import { labelOf, marginOf, Refusal, sampleOf } from "./requests.ts"
import { readLearnt, writeLearnt } from "./storage.ts"
import type { Env } from "./worker.ts"

/** Small, for each step follows one sample. */
const usualLearningRate = 0.003

export class Network extends DurableObject<Env> {
  /** Loaded when they are first asked for: an isolate that only predicts never runs the compiler. */
  #model: Model | undefined
  #update = 0
  #learner: Promise<Learner> | undefined

  #ready(): Model {
    if (this.#model === undefined) {
      const model = modelOf(kernels, new Uint8Array(program))
      const learnt = readLearnt(this.ctx.storage)
      if (learnt !== undefined) model.load(learnt.tensors)
      this.#update = learnt?.update ?? 0
      this.#model = model
    }
    return this.#model
  }

  #learning(): Promise<Learner> {
    if (this.#learner === undefined) {
      const opening = import("./learner.ts").then(({ openLearner }) =>
        openLearner(
          kernels,
          new Uint8Array(program),
          readLearnt(this.ctx.storage),
          Number(this.env.LEARNING_RATE ?? usualLearningRate),
        ),
      )
      this.#learner = opening
      // What failed is tried again by the next request.
      opening.catch(() => {
        if (this.#learner === opening) this.#learner = undefined
      })
    }
    return this.#learner
  }

  /** What is in memory may be ahead of what is stored: it is read again when it is needed. */
  #forget(): void {
    this.#model = undefined
    this.#learner = undefined
  }

  async #predict(request: Request): Promise<Response> {
    const margin = marginOf(request)
    const sample = await sampleOf(request, this.#ready())
    const { classes, outputs, meanSteps } = this.#ready().predict(sample, margin === undefined ? {} : { margin })
    return Response.json({ class: classes[0], outputs: [...outputs], steps: meanSteps, update: this.#update })
  }

  async #learn(request: Request): Promise<Response> {
    const label = labelOf(request, this.#ready())
    const sample = await sampleOf(request, this.#ready())
    // Of the requests that wait for the same learner, one may have ended with it forgotten.
    let learning: Promise<Learner>
    let learner: Learner
    do {
      learning = this.#learning()
      learner = await learning
    } while (learning !== this.#learner)
    // Nothing below waits, so no other request comes between the step, what is stored and what predicts; and the platform holds the
    // response back until what was stored is durable.
    const model = this.#ready()
    try {
      const { loss, ...learnt } = learner.learn(sample, label)
      writeLearnt(this.ctx.storage, learnt)
      model.load(learnt.tensors)
      this.#update = learnt.update
      return Response.json({ update: learnt.update, loss })
    } catch (error) {
      this.#forget()
      if ((error as { _tag?: string })._tag === "NonFiniteLossError")
        throw new Refusal(422, "the loss of this sample is not finite: nothing was learnt from it")
      throw error
    }
  }

  async #weights(): Promise<Response> {
    const bytes = (await this.#learning()).weights()
    return new Response(bytes, { headers: { "content-type": "application/octet-stream" } })
  }

  #describe(): Response {
    const { shape, timeSteps, encoding, classCount, bytes } = this.#ready()
    return Response.json({ shape, timeSteps, encoding, classes: classCount, bytes, update: this.#update })
  }

  async fetch(request: Request): Promise<Response> {
    try {
      switch (new URL(request.url).pathname) {
        case "/predict":
          return await this.#predict(request)
        case "/learn":
          return await this.#learn(request)
        case "/weights":
          return await this.#weights()
        default:
          return this.#describe()
      }
    } catch (error) {
      return Refusal.responseOf(error)
    }
  }
}
