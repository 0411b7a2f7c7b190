# Outlives the test process for a moment and takes away what that left behind: it gets the folder as the first line of
# its standard input and waits there for the end of it, which comes with the end of the process that holds the other
# side, however that ended. Run by bash; it must not name the folder in its arguments or environment.
trap '' INT TERM HUP QUIT
IFS= read -r folder || exit 0
[ -n "$folder" ] && [ -d "$folder" ] || exit 0
[ -n "$1" ] && : >"$1/$$"
# A word on the way: all is well, and there is nothing to do.
if read -r _; then
  [ -n "$1" ] && rm -f "$1/$$"
  exit 0
fi

# PostgreSQL goes at once and by itself, so that no shared memory stays.
if [ -f "$folder/data/postmaster.pid" ]; then
  { read -r postmaster; read -r _; read -r _; read -r _; read -r _; read -r _; read -r _ segment; } <"$folder/data/postmaster.pid"
  kill -QUIT "$postmaster" 2>/dev/null
  for _ in {1..50}; do
    kill -0 "$postmaster" 2>/dev/null || break
    sleep 0.1
  done
  # It was killed already: the segment by which it finds a rival is still there.
  [ -f "$folder/data/postmaster.pid" ] && [ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null
fi

# Whatever has the folder in its arguments, its environment or as its place is one of the servers or a child of theirs.
ours() {
  {
    grep -lsFf - /proc/[0-9]*/cmdline /proc/[0-9]*/environ <<<"$folder"
    find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' -lname "$folder*" 2>/dev/null
  } | cut -d/ -f3 | sort -u
}
for _ in {1..100}; do
  found=
  for pid in $(ours); do
    [ -e "/proc/$pid" ] && kill -KILL "$pid" 2>/dev/null && found=yes
  done
  [ -n "$found" ] || break
  sleep 0.05
done
rm -rf -- "$folder"
[ -n "$1" ] && rm -f "$1/$$"
exit 0
