/** The Durable Object: one network, with its weights in durable storage. */

import { DurableObject } from "cloudflare:workers"
import type { Model } from "@spikeroute/backend-wasm/infer"
import kernels from "@spikeroute/backend-wasm/spikeroute.wasm"
import program from "../program.safetensors"
import { modelOf } from "./deployment.ts"
import type { Learner } from "./learner.ts"
import { answer, labelOf, marginOf, Refusal, sampleBytes, sampleOf } from "./requests.ts"
import { type Env, settingsOf } from "./settings.ts"
import { readLearnt, StorageError, writeLearnt } from "./storage.ts"
import { Turns } from "./turns.ts"

/** Concurrent requests of each kind, predictions and learning; fewer if their samples would take more memory. */
const places = 32
const placesBytes = 2 ** 24

interface Serving {
  readonly model: Model
  readonly turns: Turns
  /** Number of samples that the model's weights have learnt from. */
  update: number
}

export class Network extends DurableObject<Env> {
  /** Loaded on first use, so that an isolate that only predicts never runs the compiler. */
  #serving: Serving | undefined
  #learner: Promise<Learner> | undefined

  #ready(): Serving {
    if (this.#serving === undefined) {
      const model = modelOf(kernels, new Uint8Array(program))
      const learnt = readLearnt(this.ctx.storage)
      try {
        if (learnt !== undefined) model.load(learnt.tensors)
      } catch (error) {
        throw new StorageError((error as Error).message)
      }
      const turns = new Turns(Math.max(1, Math.min(places, Math.floor(placesBytes / sampleBytes(model)))))
      this.#serving = { model, turns, update: learnt?.update ?? 0 }
    }
    return this.#serving
  }

  #learning(): Promise<Learner> {
    if (this.#learner === undefined) {
      const { learningRate } = settingsOf(this.env)
      const opening = import("./learner.ts").then(({ openLearner }) =>
        openLearner(kernels, new Uint8Array(program), readLearnt(this.ctx.storage), learningRate),
      )
      this.#learner = opening
      // The next request tries again.
      opening.catch(() => {
        if (this.#learner === opening) this.#learner = undefined
      })
    }
    return this.#learner
  }

  #predict(request: Request): Promise<Response> {
    const margin = marginOf(request)
    const serving = this.#ready()
    const { model, turns } = serving
    return turns.within("predict", async () => {
      const sample = await sampleOf(request, model)
      await turns.next("predict")
      const { classes, outputs, meanSteps } = model.predict(sample, margin === undefined ? {} : { margin })
      return Response.json({ class: classes[0], outputs: [...outputs], steps: meanSteps, update: serving.update })
    })
  }

  #learn(request: Request): Promise<Response> {
    const serving = this.#ready()
    const { model, turns } = serving
    const label = labelOf(request, model)
    return turns.within("learn", async () => {
      const sample = await sampleOf(request, model)
      // Another request waiting for the same learner may have failed and discarded it.
      let learning: Promise<Learner>
      let learner: Learner
      do {
        learning = this.#learning()
        learner = await learning
        await turns.next("learn")
      } while (learning !== this.#learner)
      return this.#step(serving, learner, sample, label)
    })
  }

  /**
   * This method does not wait, so no other request runs between the step, storing its weights and loading them into the model. The platform
   * holds the response back until the storage is durable. If anything fails, the model and the storage keep the previous weights.
   */
  #step(serving: Serving, learner: Learner, sample: Float32Array, label: number): Response {
    try {
      const { loss, ...learnt } = learner.learn(sample, label)
      writeLearnt(this.ctx.storage, learnt)
      serving.model.load(learnt.tensors)
      serving.update = learnt.update
      return Response.json({ update: learnt.update, loss })
    } catch (error) {
      const { _tag: tag } = error as { readonly _tag?: string }
      // The learner may be ahead of the storage: the next one starts from what is stored.
      if (tag !== "NonFiniteLossError") this.#learner = undefined
      if (tag === "NonFiniteLossError" || tag === "NonFiniteTensorError")
        throw new Refusal(400, "the sample leads to values that are not finite: nothing was learnt from it")
      throw error
    }
  }

  async #weights(): Promise<Response> {
    const bytes = (await this.#learning()).weights()
    return new Response(bytes, { headers: { "content-type": "application/octet-stream" } })
  }

  #describe(): Response {
    const { model, update } = this.#ready()
    const { shape, timeSteps, encoding, classCount, bytes } = model
    return Response.json({ shape, timeSteps, encoding, classes: classCount, bytes, update })
  }

  fetch(request: Request): Promise<Response> {
    return answer(request, async () => {
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
    })
  }
}
