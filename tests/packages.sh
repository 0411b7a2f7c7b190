# Sourced by tests/run and tests/bench: sees to it that what they need from Debian's packages is there.
#
# Installs by apt what is missing, when root or sudo, and fails with a word where it cannot. What it installs is neither
# started nor left enabled: tests and benches start private RabbitMQ, PostgreSQL and Prometheus of their own.
# The caller defines `fail`, which says why and ends; `$called` is its name, for what is said.

need_packages() {
  # What a build asks for is a C compiler, for SQLite and for aws-lc; git and the certificates are cargo's, for fetching.
  local missing=() units=() as_root=() policy
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  command -v git >/dev/null || missing+=(git)
  [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -n "${SSL_CERT_FILE:-}" ] || missing+=(ca-certificates)
  # The tests send signals by the program, not by a shell's own.
  type -P kill >/dev/null || missing+=(procps)
  if ! [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
    missing+=(rabbitmq-server)
    units+=(rabbitmq-server.service epmd.service epmd.socket)
  fi
  if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    missing+=(postgresql)
    units+=(postgresql.service)
  fi
  # promtool comes with it.
  if ! [ -x /usr/bin/prometheus ]; then
    missing+=(prometheus)
    units+=(prometheus.service)
  fi
  # What deploy/ ships is held against schemas that Python packages carry, and units against systemd's own program.
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  command -v systemd-analyze >/dev/null || missing+=(systemd)
  [ "${#missing[@]}" -gt 0 ] || return 0

  command -v apt-get >/dev/null ||
    fail "missing: ${missing[*]}, and there is no apt-get here; install them and run this again"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
      fail "missing: ${missing[*]}, and this is neither root nor allowed to sudo; run: apt-get install ${missing[*]}"
    as_root=(sudo -n)
  fi
  echo "$called: installing ${missing[*]}" >&2
  "${as_root[@]}" apt-get update -qq || fail "apt-get update failed; the packages ${missing[*]} are needed"
  # Debian starts what it installs, unless this file forbids it; one that is there already is somebody's decision.
  policy=/usr/sbin/policy-rc.d
  if ! [ -e "$policy" ]; then
    "${as_root[@]}" sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
    # shellcheck disable=SC2064 # the words of now
    trap "${as_root[*]} rm -f $policy" EXIT
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
    fail "apt-get could not install ${missing[*]}"
  # Nor at the next start of the machine.
  if [ "${#units[@]}" -gt 0 ] && [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl disable --now --quiet "${units[@]}" 2>/dev/null || true
  fi
  if [ "$(trap -p EXIT)" ]; then
    "${as_root[@]}" rm -f "$policy"
    trap - EXIT
  fi
}
