# Rails' Active Record, which finds the column lock_version and locks optimistically by itself.
# The steps, and what is said of them, are those of stage.py.

begin
  require "active_record"
  require "pg"
  require "sqlite3"
rescue LoadError => error
  puts "lacks ruby-#{error.path.to_s.tr('_', '').sub('activerecord', 'activerecord')}"
  exit
end
require "uri"

$stdout.sync = true

class Person < ActiveRecord::Base
  self.table_name = "person"
end

# Of SQLite's write lock, as stage.py has it.
class Lock
  attr_accessor :held, :unit

  def sees(sql)
    case sql[/\A\s*(\w+)/, 1].to_s.upcase
    when "BEGIN", "SAVEPOINT"
      @unit, @read, @held = true, false, false unless @unit
    when "SELECT", "WITH"
      @read = true
    when "INSERT", "UPDATE", "DELETE", "REPLACE"
      puts "writing" unless @held || (@unit && @read)
      @held = true
    when "COMMIT", "END"
      @unit = @held = false
    when "ROLLBACK"
      @unit = @held = false unless sql =~ /\bTO\b/i
    end
  end
end

class Rails
  def open(url, name)
    @lock, @item, @open = Lock.new, nil, false
    Person.establish_connection(settings(url, name))
    connection = Person.connection
    return connection.select_value("SELECT pg_backend_pid()").to_s if url.start_with?("postgresql:")
    lock = @lock
    connection.raw_connection.trace { |sql| lock.sees(sql) }
    "-"
  ensure
    Person.reset_column_information
  end

  def settings(url, name)
    return { adapter: "sqlite3", database: url, timeout: 20_000 } unless url.start_with?("postgresql:")
    uri = URI(url)
    query = URI.decode_www_form(uri.query.to_s).to_h
    { adapter: "postgresql", database: uri.path.delete_prefix("/"), host: uri.host.to_s.empty? ? query["host"] : uri.host,
      port: uri.port || query["port"], username: uri.user || query["user"], password: uri.password || query["password"],
      variables: { "amend.actor" => name } }
  end

  def close
    Person.remove_connection
  end

  def state
    [@item.id, @item.name, @item.phone, @item.lock_version].map { |value| value.nil? ? "NULL" : value }.join("|")
  end

  def write
    yield
  rescue ActiveRecord::StaleObjectError
    @failed = true
    "stale"
  rescue ActiveRecord::StatementInvalid => error
    @failed = true
    return "refused" if error.message =~ /was changed after it was read|was written,/
    raise unless error.message.include?("locked")
    @lock.held = false
    "locked"
  end

  # --- steps ---

  def load
    @item = Person.find_by(id: 1)
    @item ? "found #{state}" : "missing"
  end

  def save(values)
    before = state
    write do
      @item.update!(values)
      "updated #{before} -> #{state}"
    end
  end

  def delete
    before = state
    write do
      @item.destroy!
      "deleted #{before}"
    end
  end

  def begin
    Person.connection.begin_transaction(joinable: false)
    @failed = false
    "begun"
  end

  # As a block of `transaction` does: an error goes through it, and rolls back.
  def commit
    @failed ? Person.connection.rollback_transaction : Person.connection.commit_transaction
    @failed ? "rolled back" : "committed"
  end

  def live
    puts "ready"
    $stdin.each_line do |line|
      word, *words = line.split
      named, plain = words.partition { |text| text.include?("=") && word != "open" }
      plain << named.to_h { |text| text.split("=", 2) } unless named.empty?
      said = begin
        public_send(word, *plain)
      rescue StandardError => error
        "#{error.class}: #{error.message}".tr("\n", "/")
      end
      puts "#{@lock && @lock.held && @lock.unit ? 'held' : 'done'} #{said || word}"
    end
  end
end

Rails.new.live
