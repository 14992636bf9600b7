#!/usr/bin/perl
# The rules of the house that a program can check: who includes what, where
# dangerous things live, that every message is sent and handled, that what
# can be configured is documented.
use strict;
use warnings;
use Test::More;

my @processes = qw(postmaster smtpd policyd spoold relay deliver);
my @folders = (@processes, 'ctl');
my %text;
for my $file (glob('common/*.[ch]'), map { glob("$_/*.[ch]") } @folders) {
	open(my $in, '<', $file) or die "$file: $!\n";
	local $/;
	$text{$file} = <$in>;
}
my @sources = sort grep { /\.c$/ } keys %text;

# The text without comments and strings.
my %code;
for my $file (keys %text) {
	my $code = $text{$file};
	$code =~ s{/\*.*?\*/}{}gs;
	$code =~ s{"(?:[^"\\\n]|\\.)*"}{""}g;
	$code{$file} = $code;
}

# Files whose code matches.
sub files_with {
	my ($pattern) = @_;
	return grep { $code{$_} =~ $pattern } sort keys %code;
}

# No file breaks the rule; each that does is shown.
sub none {
	my ($rule, @bad) = @_;
	ok(!@bad, $rule) or diag(join("\n", @bad));
}

sub included {
	my ($file) = @_;
	return $text{$file} =~ /^\s*#\s*include\s*"([^"]+)"/mg;
}

# ---- folders and their headers

for my $folder (@folders) {
	my @headers = glob("$folder/*.h");
	is("@headers", "$folder/$folder.h", "$folder has one header, its own");
}
{
	my @bad;
	for my $file (sort keys %text) {
		my ($folder) = $file =~ m{^(\w+)/};
		for my $header (included($file)) {
			next if -e "common/$header";
			next if $folder ne 'common' && -e "$folder/$header";
			push @bad, "$file includes $header";
		}
	}
	none('a folder includes its own header and those of common', @bad);
}

# ---- one home for each dangerous or heavy thing

sub lives_in {
	my ($what, $pattern, @homes) = @_;
	my %home = map { $_ => 1 } @homes;
	none("$what: only in " . (@homes ? "@homes" : 'no file'),
	    grep { !$home{$_} } files_with($pattern));
}

sub included_by {
	my ($header) = @_;
	return grep { $text{$_} =~ /^\s*#\s*include\s*<$header>/m } @sources;
}

is(join(' ', included_by('sqlite3\.h')), 'spoold/db.c spoold/db_file.c'
    . ' spoold/db_salvage.c',
    'sqlite3.h is included by the files of the database alone');
is(join(' ', included_by('ares\.h')), 'common/dns.c',
    'ares.h is included once');
is(join(' ', included_by('seccomp\.h')), 'common/jail.c',
    'seccomp.h is included once');
is(join(' ', included_by('openssl/.*')),
    'common/tls.c common/tls_proof.c common/tls_session.c',
    'OpenSSL is included by the files of TLS alone');
is(join(' ', included_by('gsasl\.h')), 'relay/auth.c',
    'gsasl.h is included once');
lives_in('setresuid, setuid', qr/\b(setresuid|setreuid|setuid|seteuid)\(/,
    'common/jail.c');
lives_in('system, popen', qr/\b(system|popen)\(/);
lives_in('strcpy and its like', qr/\b(strcpy|strcat|sprintf|vsprintf|gets)\(/);
lives_in('chroot', qr/\bchroot\(/, 'common/jail.c');
none('fork: only where processes are started, in postmaster, deliver and ctl,'
    . ' and by spoold for its syncers',
    grep { !m{^((postmaster|deliver|ctl)/|spoold/syncer\.c$)} }
    files_with(qr/\bfork\(\)/));

# ---- text

none('no extern in a .c', grep { /\.c$/ } files_with(qr/^\s*extern\b/m));
none('no typedef of a struct', files_with(qr/\btypedef\s+struct\b/));
none('no #if 0', files_with(qr/^\s*#\s*if\s+0\b/m));
none('nothing left undone', grep {
	$text{$_} =~ /\b(TODO|FIXME|XXX|HACK)\b/ } sort keys %text);
none('conditional compilation only in jails, guards aside', grep {
	!m{^common/(jail|compat)} && $code{$_} =~
	    /^\s*#\s*if(?!ndef \w+_H\b)/m } sort keys %text);
{
	my @bad;
	for my $file (sort keys %text) {
		my $n = 0;
		for my $line (split(/\n/, $text{$file})) {
			$n++;
			1 while $line =~ s/^([^\t]*)\t/
			    $1 . ' ' x (8 - length($1) % 8)/e;
			push @bad, "$file:$n" if length($line) > 80;
			push @bad, "$file:$n ends in blanks"
			    if $line =~ /\s$/;
		}
	}
	none('no line is longer than 80 columns or ends in blanks', @bad);
}
none('every file says what it is', grep { $text{$_} !~ m{^/\*} }
    sort keys %text);

# ---- messages

my ($enum) = $text{'common/wire.h'} =~ /enum imsg_type \{(.*?)\n\};/s;
my @types = grep { !/^(NONE|MAX)$/ } $enum =~ /\bIMSG_(\w+),/g;
ok(@types > 30, 'the messages are there');
my $send = qr/\b(?:link_tell|link_ask|link_answer|link_write_blocking|link_add|
    start_tell)\b[^;]*?/x;
for my $type (@types) {
	my @trouble;
	push @trouble, 'no row' if $text{'common/wire.c'} !~ /\[IMSG_$type\]/;
	my $struct = 'w_' . lc($type);
	push @trouble, 'no payload struct'
	    if $text{'common/wire.h'} !~ /struct $struct \{/;
	my (@senders, @handlers);
	for my $file (grep { !m{^common/(wire|link|frame)} } @sources) {
		my $code = $code{$file} =~ s/\blink_credit\([^)]*\)//gr;
		push @senders, $file
		    while $code =~ s/($send)\bIMSG_$type\b/$1/;
		push @handlers, $file if $code =~ /\bIMSG_$type\b/;
	}
	my %from = map { $_ => 1 } @senders;
	push @trouble, 'nobody sends it' if !@senders;
	push @trouble, "sent from @{[sort keys %from]}" if keys %from > 1;
	push @trouble, 'nobody handles it' if !@handlers;
	push @trouble, "handled in @handlers" if @handlers > 1;
	ok(!@trouble, "$type has a row, a struct, a sender and a handler")
	    or diag(join('; ', @trouble));
}

# ---- documents

sub slurp {
	my ($name) = @_;
	open(my $in, '<', $name) or return '';
	local $/;
	return scalar <$in>;
}

my $manual = slurp('man/postmaster.cf.5');
my @keywords = $text{'common/conf_keyword.c'} =~
    /\{ "(\w+)",\s*"([\w-]+)",\s*CONF_/g;
{
	my @bad;
	while (my ($section, $name) = splice(@keywords, 0, 2)) {
		push @bad, "[$section] $name"
		    if $manual !~ /\b\Q$name\E\b/;
	}
	none('every setting is in postmaster.cf(5)', @bad);
}
for my $page (qw(postmaster.8 postmaster.cf.5 smtpd.8 policyd.8 spoold.8
    deliver.8 relay.8 postctl.8 sendmail.8 mailq.1 aliases.5 forward.5
    spool.5)) {
	ok(-e "man/$page", "man/$page is there");
}
SKIP: {
	my $build = $ENV{BUILD} // 'build';
	my @pages = (glob('man/*.[1-8]'),
	    glob("$build/man/postmaster-wire.7"));

	skip('no mandoc', 1) if system('command -v mandoc >/dev/null') != 0;
	my $lint = `mandoc -Tlint -Wwarning @pages 2>&1`;
	is($lint, '', 'the manual pages are clean');
}

# ---- programs

SKIP: {
	my $build = $ENV{BUILD} // 'build';
	my %may = (
		postmaster => '', deliver => '', smtpd => '', policyd => '',
		ctl => '', spoold => 'sqlite3', relay => 'cares ssl crypto gsasl',
	);

	skip('not built', 2 * keys %may) if !-x "$build/postmaster/postmaster";
	for my $name (sort keys %may) {
		my $elf = `readelf -Wdlh $build/$name/$name`;
		my @heavy = $elf =~ /NEEDED.*\[lib(sqlite3|ssl|crypto|cares|
		    gsasl)/gx;
		is("@heavy", $may{$name}, "$name links only what it needs");
		ok($elf =~ /Type:\s+DYN/ && $elf =~ /GNU_RELRO/ &&
		    $elf =~ /BIND_NOW|FLAGS.*NOW/ && $elf !~ /GNU_STACK.*RWE/,
		    "$name is hardened");
	}
}

# ---- paths of one machine

none('no path of somebody\'s machine', grep {
	slurp($_) =~ m{/(?:work|farm)/} }
    grep { -f && !m{^regress/style/} } (sort(keys %text), 'GNUmakefile',
    'README', glob('etc/* man/* regress/*/*')));

done_testing();
