#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
"""Random ~/.aws files and environments, resolved by us and by botocore: profile, region, keys and
where they come from, S3 settings. Needs no server. SEED=N makes other ones.

Left out because we differ on purpose: AWS_REGION (botocore ignores it), AWS_PROFILE together with
AWS_DEFAULT_PROFILE (the order), [default] together with [profile default] (botocore takes the
last), a key or section that is there twice and naming a "default" that does not exist (botocore
refuses), comments behind values (botocore keeps them)."""
import os
import random
import subprocess
import sys
import tempfile

import botocore.exceptions
import botocore.session

COUNT = 300
RESOLVE = os.path.join(os.environ.get("BUILD_DIR", "build/tests"), "tests/client/resolve")
SEED = int(os.environ.get("SEED", "20130524"))
R = random.Random(SEED)

PROFILES = ["default", "work", "two words", "other"]
PROVIDERS = {"env": "environment", "shared-credentials-file": "shared-file",
             "config-file": "config-file"}
HAS_ENDPOINT = tuple(map(int, botocore.__version__.split(".")[:2])) >= (1, 31)


def maybe(p):
    return R.random() < p


def some_keys(tag):
    """Mostly a pair, sometimes with a token, sometimes half of one."""
    n = R.randrange(1000)
    keys = {}
    if maybe(0.9):
        keys["aws_access_key_id"] = f"AKIA{tag}{n}"
    if maybe(0.9):
        keys["aws_secret_access_key"] = f"s/+{n}=={tag}#x;y"
    if maybe(0.3):
        keys["aws_session_token"] = f"t{n}{tag}"
    return keys


def some_settings():
    settings = {}
    if maybe(0.5):
        settings["region"] = R.choice(["eu-west-1", "us-east-2", "x"])
    if maybe(0.2):
        settings["max_attempts"] = str(R.randrange(1, 9))
    if maybe(0.2):
        settings["ca_bundle"] = "/etc/ca"
    if maybe(0.2):
        settings["use_dualstack_endpoint"] = R.choice(["true", "false", "True"])
    if maybe(0.2):
        settings["use_fips_endpoint"] = R.choice(["true", "false"])
    if HAS_ENDPOINT and maybe(0.3):
        settings["endpoint_url"] = "http://plain:1"
    if maybe(0.4):
        settings["s3"] = {"addressing_style": R.choice(["path", "virtual", "auto"])}
        if maybe(0.5):
            settings["s3"]["max_queue_size"] = "7"
    return settings


def section_name(profile, config):
    if not config or profile == "default":
        return f"[{profile}]"
    if " " in profile or maybe(0.3):
        quote = R.choice("\"'")
        return f"[profile {quote}{profile}{quote}]"
    return f"[profile{R.choice([' ', '  ', chr(9)])}{profile}]"


def junk():
    return R.choice(["", "", "", "# comment = 1\n", "; [comment]\n", "\n", "  # indented\n", " \n"])


def setting_lines(settings, indent):
    text = ""
    for key, value in R.sample(list(settings.items()), len(settings)):
        key = R.choice([key, key, key.upper(), key.title()]) if not isinstance(value, dict) else key
        text += junk()
        if isinstance(value, dict):
            text += f"{indent}{key} ={R.choice(['', ' '])}\n"
            deeper = indent + R.choice(["  ", "\t", " "])
            for k, v in value.items():
                text += f"{deeper}{k}{R.choice([' = ', '=', ' ='])}{v}\n"
        else:
            text += f"{indent}{key}{R.choice([' = ', '=', '= ', chr(9) + '=', ': '])}{value}\n"
    return text


def new_file(config):
    text = junk()
    for profile in R.sample(PROFILES, len(PROFILES)):
        if not maybe(0.6):
            continue
        settings = some_keys("C" if config else "S") if maybe(0.4 if config else 0.8) else {}
        if config or maybe(0.3):
            settings.update(some_settings())
        text += section_name(profile, config) + "\n"
        text += setting_lines(settings, R.choice(["", "", "  "])) + junk()
        if config and maybe(0.2):
            text += R.choice(["[sso-session q]\nregion = wrong\n",
                              "[plugins]\nregion = wrong\n"]).replace(
                                  "]", f"{R.randrange(10 ** 6)}]", 1)
    return text.replace("\n", "\r\n") if maybe(0.1) else text


def new_name(files):
    """A profile to ask for; "default" only where it exists: for us it need not."""
    there = any("[default]" in text for text in files.values())
    return R.choice(PROFILES if there else PROFILES[1:])


def new_environment(home, files):
    env = {"HOME": home, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    if maybe(0.3):
        for key, value in some_keys("E").items():
            env[key.upper()] = value
    if maybe(0.3):
        env["AWS_DEFAULT_REGION"] = R.choice(["env-region", ""])
    if maybe(0.3):
        env[R.choice(["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])] = new_name(files)
    if maybe(0.2):
        env["AWS_MAX_ATTEMPTS"] = "9"
    if HAS_ENDPOINT and maybe(0.2):
        env[R.choice(["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])] = "http://env:1"
    return env


def by_botocore(env, profile):
    os.environ.clear()
    os.environ.update(env)
    try:
        session = botocore.session.Session(profile=profile)
        config = session.get_scoped_config()
        s3 = session.get_config_variable("s3") or {}
        result = {
            "profile": session.profile or "default",
            # botocore takes an empty variable for a value; nobody can mean that
            "region": session.get_config_variable("region") or config.get("region") or "",
            "ca_bundle": session.get_config_variable("ca_bundle") or "",
            "addressing": s3.get("addressing_style", "auto"),
            "attempts": str(session.get_config_variable("max_attempts") or 0),
            "dualstack": str(int(bool(session.get_config_variable("use_dualstack_endpoint")))),
            "fips": str(int(bool(session.get_config_variable("use_fips_endpoint")))),
        }
        if HAS_ENDPOINT:
            store = session.get_component("config_store")
            store.set_config_provider("endpoint_url", botocore.configprovider.
                                      ConfiguredEndpointProvider(session.full_config, config,
                                                                 "s3"))
            result["endpoint"] = store.get_config_variable("endpoint_url") or ""
    except botocore.exceptions.ProfileNotFound:
        return {"error": "profile"}
    try:
        keys = session.get_credentials()
        if keys is None:
            result["credentials"] = "no-credentials"
        else:
            result.update({"credentials": PROVIDERS[keys.method], "id": keys.access_key,
                           "secret": keys.secret_key, "token": keys.token or ""})
    except botocore.exceptions.PartialCredentialsError:
        result["credentials"] = "config"
    return result


def by_us(env, profile):
    done = subprocess.run([RESOLVE] + ([profile] if profile else []), env=env, text=True,
                          check=True, stdout=subprocess.PIPE)
    result = dict(line.split("=", 1) for line in done.stdout.splitlines())
    if "error" in result and result["error"].startswith("profile '"):
        result = {"error": "profile"}
    if not HAS_ENDPOINT:
        result.pop("endpoint", None)
    return result


def half_a_pair(ours, theirs):
    """A secret without an id: botocore goes on looking, we say what is missing."""
    return ours.get("credentials") == "config" and theirs.get("credentials") != "config"


def main():
    if os.path.exists("/etc/passwd-s3fs"):
        print("this machine has a /etc/passwd-s3fs, whose keys we would find")
        return 77
    print(f"seed {SEED}, botocore {botocore.__version__}")
    tally = {}
    wrong = 0
    real = dict(os.environ)
    with tempfile.TemporaryDirectory() as home:
        os.mkdir(home + "/.aws")
        for number in range(COUNT):
            files = {"credentials": new_file(False), "config": new_file(True)}
            for name, text in files.items():
                with open(f"{home}/.aws/{name}", "w", encoding="utf-8", newline="") as f:
                    f.write(text)
            env = new_environment(home, files)
            profile = new_name(files) if maybe(0.4) else None
            theirs = by_botocore(env, profile)
            ours = by_us(env, profile)
            if half_a_pair(ours, theirs):
                for result in (ours, theirs):
                    for key in ("credentials", "id", "secret", "token"):
                        result.pop(key, None)
                ours["credentials"] = theirs["credentials"] = "half a pair"
            kind = theirs.get("credentials") or "error"
            tally[kind] = tally.get(kind, 0) + 1
            if ours != theirs:
                wrong += 1
                if wrong <= 3:
                    print(f"case {number} differs, profile {profile}, {env}\n{files}\n"
                          f"  ours   {ours}\n  theirs {theirs}")
    os.environ.update(real)
    print(f"{COUNT} worlds, {wrong} differ: {tally}")
    # every way out was taken, so the comparison was not of one kind only
    assert len(tally) >= 6 and min(tally.values()) >= 2, tally
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
