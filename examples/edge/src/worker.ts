/**
 * A network that answers and learns at the edge, as a Cloudflare Worker. All requests go to one Durable Object, which holds the
 * weights. It is named after those that were deployed: others begin anew in an object of their own, and what was learnt from the
 * former is there again when they are. For a network of each person's own, put the person into the name.
 *
 *     GET  /                  what the network takes, and how often it has learnt
 *     POST /predict?margin=m  the class of a sample; with a margin it stops as soon as the first class leads by so much
 *     POST /learn?label=c     learns that a sample is of class c: needs the write token
 *     GET  /weights           the weights as safetensors, for `bun run train --init`: needs the write token
 *
 * A sample is the body, float32s little-endian: [T, height, width, channels], or [height, width, channels] of a static image.
 */
import type { DurableObjectNamespace } from "cloudflare:workers"
import program from "../program.safetensors"
import { originOf } from "./deployment.ts"
import { Refusal, requireToken } from "./requests.ts"

export { Network } from "./network.ts"

export interface Env {
  readonly NETWORK: DurableObjectNamespace
  /** `wrangler secret put WRITE_TOKEN`. Without it nobody can write. */
  readonly WRITE_TOKEN?: string
  readonly LEARNING_RATE?: string
}

const routes: Readonly<Record<string, { readonly method: string; readonly guarded?: true }>> = {
  "/": { method: "GET" },
  "/predict": { method: "POST" },
  "/learn": { method: "POST", guarded: true },
  "/weights": { method: "GET", guarded: true },
}

/** Of the deployed program; computed by the first request that needs it. */
let origin: string | undefined

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      const { pathname } = new URL(request.url)
      const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined
      if (route === undefined)
        throw new Refusal(404, `there is no ${pathname}: there are ${Object.keys(routes).join(", ")}`)
      if (request.method !== route.method) throw new Refusal(405, `${pathname} takes ${route.method}`)
      if (route.guarded) await requireToken(request, env.WRITE_TOKEN)
      origin ??= await originOf(new Uint8Array(program))
      return await env.NETWORK.get(env.NETWORK.idFromName(origin)).fetch(request)
    } catch (error) {
      return Refusal.responseOf(error)
    }
  },
}
