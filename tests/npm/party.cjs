// A relying party of OpenID Connect, made of openid-client. It is told what to do in lines of JSON, and answers each with a line.
"use strict";

const { createInterface } = require("node:readline");
const { Issuer, generators } = require("openid-client");

let client, checks;

const steps = {
  async discover({ issuer, client_id, redirect_uri, logged_out, jwks }) {
    const found = await Issuer.discover(issuer);
    client = new found.Client({
      client_id,
      redirect_uris: [redirect_uri],
      post_logout_redirect_uris: [logged_out],
      response_types: ["code"],
      token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_signing_alg: "RS512",
      id_token_signed_response_alg: "RS256",
    }, jwks);
    return { issuer: found.metadata.issuer };
  },
  begin(asked) {
    const code_verifier = generators.codeVerifier();
    checks = { code_verifier, nonce: generators.nonce(), state: generators.state(), response_type: "code" };
    return {
      url: client.authorizationUrl({
        ...asked,
        nonce: checks.nonce,
        state: checks.state,
        code_challenge: generators.codeChallenge(code_verifier),
        code_challenge_method: "S256",
      }),
    };
  },
  async finish({ returned }) {
    const tokens = await client.callback(client.metadata.redirect_uris[0], client.callbackParams(returned), checks);
    return { id_token: tokens.id_token, claims: tokens.claims(), userinfo: await client.userinfo(tokens) };
  },
  leave({ id_token }) {
    return { url: client.endSessionUrl({ id_token_hint: id_token }) };
  },
};

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    const { step, ...told } = JSON.parse(line);
    let answer;
    try {
      answer = await steps[step](told);
    } catch (error) {
      answer = { error: String(error.message) };
    }
    console.log(JSON.stringify(answer));
  }
})();
