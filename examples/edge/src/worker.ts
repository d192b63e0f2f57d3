/**
 * A network that predicts and learns at the edge, as a Cloudflare Worker. All requests go to one Durable Object, which holds the weights.
 * The object's name is a fingerprint of the deployed weights: other weights start afresh in another object, and deploying the former ones
 * again brings back what they had learnt. To give each user a network, add the user to the name.
 *
 *     GET  /                  the network's input and the number of samples it has learnt from
 *     POST /predict?margin=m  the class of a sample; with a margin, it stops as soon as the leading class is ahead by that much
 *     POST /learn?label=c     learns that a sample is of class c; needs the write token
 *     GET  /weights           the weights as safetensors, for `bun run train --init`; needs the write token
 *
 * The body is a sample, little-endian float32s: [T, height, width, channels], or [height, width, channels] of a static image.
 */
import { quote } from "@spikeroute/core/text"
import program from "../program.safetensors"
import { originOf } from "./deployment.ts"
import { answer, Refusal, requireToken, urlOf } from "./requests.ts"
import { type Env, settingsOf } from "./settings.ts"

export { Network } from "./network.ts"

const routes: Readonly<Record<string, { readonly methods: ReadonlyArray<string>; readonly guarded?: true }>> = {
  "/": { methods: ["GET", "HEAD"] },
  "/predict": { methods: ["POST"] },
  "/learn": { methods: ["POST"], guarded: true },
  "/weights": { methods: ["GET", "HEAD"], guarded: true },
}

/** The fingerprint of the deployed program, computed by the first request that needs it. */
let origin: string | undefined

export default {
  fetch: (request: Request, env: Env): Promise<Response> =>
    answer(request, async () => {
      const { token } = settingsOf(env)
      const { pathname } = urlOf(request)
      const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined
      if (route === undefined)
        throw new Refusal(404, `there is no ${quote(pathname)}: there are ${Object.keys(routes).join(", ")}`)
      const { methods, guarded } = route
      if (!methods.includes(request.method))
        throw new Refusal(405, `${pathname} takes ${methods[0]}`, { allow: methods.join(", ") })
      if (guarded) await requireToken(request, token)
      origin ??= await originOf(new Uint8Array(program))
      return env.NETWORK.get(env.NETWORK.idFromName(origin)).fetch(request)
    }),
}
